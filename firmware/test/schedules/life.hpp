// One device's random life: the real core on a chip in RAM, power, clock and link as its seed
// says, and the truth of every epoch it made.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "noctis/courier.hpp"
#include "noctis/spool.hpp"
#include "noctis/timekeeper.hpp"
#include "noctis/wall_clock.hpp"
#include "random.hpp"
#include "small_machine.hpp"

namespace noctis::schedules {

using Bytes = std::vector<std::uint8_t>;

class RamFlash : public Flash {
 public:
  std::uint32_t sectors() const override { return kSectors; }
  void read(std::uint32_t address, std::uint8_t* to, std::size_t size) override {
    std::memcpy(to, &bits_[address], size);
  }
  bool program(std::uint32_t address, const std::uint8_t* from, std::size_t size) override {
    for (std::size_t i = 0; i < size; ++i) {
      bits_[address + i] &= from[i];
    }
    return true;
  }
  bool erase(std::uint32_t sector) override {
    std::fill_n(bits_.begin() + sector * kSectorSize, kSectorSize, 0xFF);
    return true;
  }

 private:
  static constexpr std::uint32_t kSectors = 8;
  Bytes bits_ = Bytes(std::size_t{kSectors} * kSectorSize, 0xFF);
};

// A crystal that is some ppm off.
class Crystal : public Clock {
 public:
  std::uint64_t monotonic_ms() const override { return at(now_ms); }
  std::uint64_t at(std::uint64_t true_ms) const {
    return static_cast<std::uint64_t>(static_cast<double>(true_ms - booted_ms) * rate);
  }
  std::uint64_t true_at(std::uint64_t monotonic_ms) const {
    return booted_ms +
           static_cast<std::uint64_t>(static_cast<double>(monotonic_ms) / rate + 0.5);
  }

  std::uint64_t now_ms = 0;  // true UTC
  std::uint64_t booted_ms = 0;
  double rate = 1;
};

struct Sent {
  std::size_t device;
  Channel channel;
  Bytes bytes;
};

// The truth of one epoch.
struct Made {
  std::uint64_t stream;
  std::uint32_t seq;
  std::uint32_t boot;
  std::uint64_t began_ms;                // true UTC
  std::optional<std::int64_t> error_ms;  // of the device's clock when it was stamped
  Slot record;
};

class Life : public Uplink {
 public:
  // Answers a request for the time as the platform does at true UTC `utc_ms`.
  using Ask = std::function<Bytes(const Bytes& request, std::uint64_t utc_ms)>;

  Life(std::size_t index, std::uint64_t seed, std::uint64_t now_ms);

  // Lives until then; what it publishes goes to `sent`.
  void live(std::uint64_t until_ms, std::vector<Sent>& sent, const Ask& ask);
  // An acknowledgement arrives; lost where the device is off or not connected.
  void hear(const Bytes& ack);
  // From now on power and link stay, nothing is lost, and no more epochs are made.
  void settle();
  bool settled() const { return spool_ && spool_->backlog() == 0; }

  const std::vector<Made>& made() const { return made_; }
  std::uint64_t seed() const { return seed_; }

  int publish(Channel channel, const std::uint8_t* data, std::size_t size) override;

 private:
  void boot();
  void power_off();
  void step();
  void change_power();
  void change_link();
  void change_sntp();
  void make_epoch();
  std::uint64_t span_ms(double least_s, double most_s) {
    return static_cast<std::uint64_t>(1000 * random_.uniform(least_s, most_s));
  }

  std::size_t index_;
  std::uint64_t seed_;
  host::Random random_;
  RamFlash flash_;
  Crystal crystal_;
  std::unique_ptr<Spool> spool_;  // none: the power is off
  std::unique_ptr<WallClock> wall_clock_;
  std::unique_ptr<Courier> courier_;
  target::RamStore store_;
  target::QuietBoard board_;
  Timekeeper timekeeper_;
  std::vector<Made> made_;
  std::vector<Sent>* sent_ = nullptr;
  std::optional<Bytes> request_;  // for the time
  std::vector<int> unconfirmed_;  // by the broker
  int next_id_ = 1;
  bool settling_ = false;
  bool link_ = false;
  std::uint64_t epoch_start_ms_ = 0;  // monotonic
  std::uint64_t power_change_ms_ = 0;
  std::uint64_t link_change_ms_ = 0;
  std::uint64_t sntp_change_ms_ = 0;
  std::uint64_t sntp_due_ms_ = 0;
  std::optional<std::int64_t> sntp_error_ms_;  // none: it is silent
};

}  // namespace noctis::schedules
