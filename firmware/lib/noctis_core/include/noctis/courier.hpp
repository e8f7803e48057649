// The uplink protocol: brings every epoch of the spool to the platform.
//
// Each epoch goes out once live, the moment it is made. It is done when the platform
// acknowledges it (down/ack), never because a broker took it. Whatever is not done goes out on
// the backlog, oldest first, until it is; and so does, once more, what the platform asks for.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "noctis/backoff.hpp"
#include "noctis/board.hpp"
#include "noctis/clock.hpp"
#include "noctis/commands.hpp"
#include "noctis/configuration.hpp"
#include "noctis/diagnostics.hpp"
#include "noctis/health.hpp"
#include "noctis/log.hpp"
#include "noctis/spool.hpp"
#include "noctis/store.hpp"
#include "noctis/time_exchange.hpp"
#include "noctis/uplink.hpp"
#include "noctis/wall_clock.hpp"

namespace noctis {

class Courier {
 public:
  static constexpr std::size_t kLiveWindow = 8;     // messages in flight
  static constexpr std::size_t kBacklogWindow = 4;  // frames in flight while all goes well
  static constexpr std::uint64_t kRefusedMs = 3'600'000;
  static constexpr std::uint64_t kRetryMs = 1000;          // of an uplink that took nothing
  static constexpr std::uint64_t kStatusPauseMs = 60'000;  // however often something changes
  static constexpr std::size_t kStatusSize = 768;
  static constexpr std::size_t kMostFirmware = 64;  // characters of its name in the status

  // `firmware`: name and version, [A-Za-z0-9 ._-]. `seed` only spreads the devices' repeats.
  Courier(Spool& spool, Uplink& uplink, const Clock& clock, WallClock& wall_clock, Store& store,
          Board& board, const char* firmware, std::uint64_t seed)
      : spool_(spool),
        uplink_(uplink),
        clock_(clock),
        wall_clock_(wall_clock),
        board_(board),
        firmware_(firmware),
        backoff_(seed),
        time_(wall_clock, uplink, clock, seed),
        log_(uplink, clock),
        configuration_(store, board, uplink, clock, log_),
        diagnostics_(store, board, spool, clock),
        commands_({spool, uplink, clock, store, board, configuration_, log_}) {}

  // Once after a boot, when the spool was mounted and that was found: follows the configuration
  // that was stored, and goes on with an erase that the power cut off.
  void begin(Spool::Mount mount);
  // The connection came up, or went down.
  void on_state(bool up);
  // The broker has message `id`: from now on it is the platform's silence that counts.
  void on_ack(int id);
  // A message of the platform.
  void on_message(DownChannel channel, const std::uint8_t* data, std::size_t size);

  // The epoch append() just returned. False if it could not go out live: it is backlog then.
  bool epoch_made(std::uint32_t seq);
  // Sends what is due. Call it after anything happened, and at wake_ms().
  void poll();
  std::uint64_t wake_ms() const;

  // For the adapters' own lines.
  Log& log() { return log_; }
  const Settings& settings() const { return configuration_.settings(); }
  // The flash is being erased by command: no epoch can be stored, and none is to be made.
  bool erasing() const { return commands_.erasing(); }

  // What the epoch made last showed of the sensors; a change is told within a minute.
  void set_health(const Health& health) { health_ = health; }

  bool up() const { return up_; }
  std::size_t live_in_flight() const { return in_flight(Kind::live); }
  std::size_t in_flight() const { return live_in_flight() + repeats_in_flight(); }
  bool live_window_full() const { return live_in_flight() == kLiveWindow; }

  // The status as JSON with a final zero; returns its length. `state`: online, sleeping, lost.
  std::size_t status(const char* state, char (&json)[kStatusSize]) const;
  void publish_status(const char* state);

 private:
  enum class Kind : std::uint8_t { none, live, backlog, resend };
  static constexpr int kUnsent = -1;
  struct Message {
    Kind kind = Kind::none;
    int id = kUnsent;  // of a resend that got no answer and waits for its turn
    std::uint64_t stream = 0;
    std::uint32_t first = 0;
    std::uint32_t last = 0;
    std::uint64_t awaited = 0;  // of a resend: one bit an epoch that got no answer yet
    std::uint64_t deadline_ms = 0;

    bool in_flight() const { return kind != Kind::none && id >= 0; }
  };

  // What of the status is worth to be told before its time.
  struct Told {
    Health health;
    ClockSource source = ClockSource::unknown;
    std::uint32_t config = 0;
  };

  std::size_t in_flight(Kind kind) const;
  std::size_t repeats_in_flight() const {
    return in_flight(Kind::backlog) + in_flight(Kind::resend);
  }
  bool holds_resend() const;
  bool send(Kind kind);
  int publish(Kind kind);
  void forget(Message& message);
  void forget_all();
  void expire(std::uint64_t now_ms);
  void send_backlog();
  bool send_undone();
  bool send_resend();
  bool reread(Message& message);
  void send_status();
  void tell_changes();
  void sweep_again();
  void take_ack(const std::uint8_t* data, std::size_t size);
  std::uint32_t sweep_limit() const;
  void answered();
  bool overlaps(const Message& message, std::uint64_t stream, const AckRange& range) const;
  static std::uint32_t settle(Message& message, const AckRange& range);
  void slow_down();
  void take_done(std::uint64_t stream, const AckRange& range);
  void take_refused(std::uint64_t stream, const AckRange& range);
  std::uint64_t deadline(Kind kind);

  Spool& spool_;
  Uplink& uplink_;
  const Clock& clock_;
  const WallClock& wall_clock_;
  const Board& board_;
  const char* firmware_;
  Backoff backoff_;
  TimeExchange time_;
  Log log_;
  Configuration configuration_;
  Diagnostics diagnostics_;
  Commands commands_;
  bool up_ = false;
  // What is in flight, and what was sent again and waits for its turn: no more than a window.
  std::array<Message, kLiveWindow + 2 * kBacklogWindow> messages_{};
  // Everything below it that is not done is in flight or was refused.
  std::uint32_t cursor_ = 0;
  std::size_t window_ = 1;
  bool resend_next_ = true;             // its turn, before what is not done
  std::uint64_t backlog_due_ms_ = 0;    // no frame of either goes out before
  std::uint32_t refusals_ = 0;          // of backlog, one after another
  std::uint64_t retry_refused_ms_ = 0;  // 0: nothing was refused
  Health health_;
  Told told_;
  Told logged_;
  std::uint64_t told_ms_ = 0;
  std::uint64_t status_due_ms_ = 0;
  Frame frame_;  // what is being sent
};

}  // namespace noctis
