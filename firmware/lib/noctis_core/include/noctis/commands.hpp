// The platform's commands: taken one at a time, and answered. The platform repeats a command
// until it has the answer.
//
// What must not be done twice is written into the store before it is done, and is answered from
// there when it comes again: a reboot after the boot, an erase once all is erased, whatever the
// power did meanwhile. A resend lives in RAM: to repeat it harms nothing.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "noctis/board.hpp"
#include "noctis/clock.hpp"
#include "noctis/command.hpp"
#include "noctis/configuration.hpp"
#include "noctis/log.hpp"
#include "noctis/owed.hpp"
#include "noctis/resend.hpp"
#include "noctis/store.hpp"
#include "noctis/uplink.hpp"

namespace noctis {

class Commands {
 public:
  static constexpr std::size_t kAnswerSize = 192;
  static constexpr std::size_t kRemembered = 4;       // ids of what must not be done twice
  static constexpr std::uint32_t kSectorsAtOnce = 4;  // erased between two looks around

  // Where it works.
  struct Place {
    Spool& spool;
    Uplink& uplink;
    const Clock& clock;
    Store& store;
    Board& board;
    Configuration& configuration;
    Log& log;
  };

  explicit Commands(const Place& place) : place_(place), resend_(place.spool) {}

  // After a boot and spool.mount(), which found `mount`: goes on with an erase that the power
  // cut off. True if it does: the spool holds nothing to be told then.
  bool begin(Spool::Mount mount);
  void on_state(bool up) { answer_due_.on_state(up); }
  // The broker has message `id`.
  void on_ack(int id) { answer_due_.on_ack(id); }
  // A command. While another is being done it is passed over: it comes again.
  void on_message(const std::uint8_t* data, std::size_t size);
  // Goes on with an erase. Ends a resend none of whose frames is in flight any more, and sends
  // the answer.
  void poll(bool in_flight);
  std::uint64_t wake_ms() const;

  Resend& resend() { return resend_; }
  // The flash is being erased; the board restarts when that is done.
  bool erasing() const { return erasing_; }

 private:
  struct Answer {
    const char* refusal = nullptr;  // null: done
    std::optional<Resend::Counts> counts;
  };
  // What the store knows: the ids of the commands done last, the newest first, and whether the
  // newest is an erase of that stream that is not through yet.
  struct Record {
    std::array<CommandId, kRemembered> ids{};
    bool erasing = false;
    std::uint64_t stream = 0;
  };

  bool busy() const { return resend_.active() || erasing_ || restarting_; }
  bool remembered(const CommandId& id) const;
  void take(const Command& command);
  bool load();
  bool save();
  bool remember(const Command& command);
  void erase(const Command& command);
  void erase_some();
  void restart();
  void answer(const Answer& answer);
  void send_answer();
  std::size_t write_answer(char (&json)[kAnswerSize]) const;

  Place place_;
  Resend resend_;
  Record record_;
  CommandId id_{};   // of the command that is being done, or was answered last
  Answer answer_{};  // the last one
  Owed answer_due_;
  bool erasing_ = false;
  bool restarting_ = false;
};

}  // namespace noctis
