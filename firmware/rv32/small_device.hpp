// A whole device without an operating system: sensor bytes in, frames out, and a platform that
// acknowledges most of them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "noctis/courier.hpp"
#include "noctis/epoch_builder.hpp"
#include "noctis/timekeeper.hpp"
#include "ram_nor.hpp"
#include "sleeper.hpp"
#include "small_machine.hpp"

namespace noctis::target {

struct ManualClock : Clock {
  std::uint64_t now_ms = 0;
  std::uint64_t monotonic_ms() const override { return now_ms; }
};

// Keeps of every frame what an acknowledgement needs.
class Platform : public Uplink {
 public:
  static constexpr std::size_t kAckSize = 20;  // of one range
  using TimeReplyBytes = std::array<std::uint8_t, kTimeReplySize>;

  int publish(Channel channel, const std::uint8_t* data, std::size_t size) override;
  // The acknowledgement of the oldest frame not acknowledged yet; false if there is none.
  bool acknowledge(std::array<std::uint8_t, kAckSize>& ack);
  // The answer to the request for the time, if there was one.
  bool tell_time(std::uint64_t utc_ms, TimeReplyBytes& reply);
  // The connection broke: what was on its way is gone.
  void forget() {
    waiting_ = 0;
    asked_time_ = false;
  }

  std::uint32_t live = 0, backlog = 0, statuses = 0, results = 0;  // messages taken
  std::uint32_t configs = 0, logs = 0;

 private:
  struct Taken {
    std::array<std::uint8_t, 12> stream_and_first;
    std::uint8_t count;
  };
  std::array<Taken, Courier::kLiveWindow + Courier::kBacklogWindow> frames_{};
  std::size_t waiting_ = 0;
  bool asked_time_ = false;
  std::array<std::uint8_t, 8> asked_{};  // what the request for the time said
  int next_id_ = 1;
};

class SmallDevice {
 public:
  SmallDevice(RamNor& nor, std::uint32_t seed);

  // Makes one epoch of sensor bytes, stores it, sends it; the platform answers unless the
  // connection is down, which it is for 10 epochs of each 60, and once in these 60 it wants
  // some of them again, and something else of the device.
  void live_one_epoch();

  std::uint32_t epochs() const { return number_; }
  std::uint32_t refused() const { return refused_; }  // epochs that the spool did not take
  const Spool& spool() const { return spool_; }
  const Courier& courier() const { return courier_; }
  const Platform& platform() const { return platform_; }
  const QuietBoard& board() const { return board_; }

 private:
  Epoch make();
  void ask_again();
  void configure();
  void exchange();

  ManualClock clock_;
  WallClock wall_clock_{clock_, 1'600'000'000};
  Platform platform_;
  Sleeper sleeper_;
  EpochBuilder builder_;
  Timekeeper timekeeper_;
  Spool spool_;
  RamStore store_;
  QuietBoard board_;
  Courier courier_{spool_, platform_, clock_, wall_clock_, store_, board_, "target 1", 99};
  std::uint32_t number_ = 0;
  std::uint32_t refused_ = 0;
};

}  // namespace noctis::target
