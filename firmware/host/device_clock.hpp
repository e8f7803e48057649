// What a virtual device is told of the time: its SNTP answers, is blocked, or is wrong.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "noctis/wall_clock.hpp"
#include "pace.hpp"
#include "random.hpp"

namespace noctis::host {

class DeviceClock {
 public:
  struct Settings {
    double sntp_after_s;  // seconds since boot until SNTP answers
    bool wall_time;       // the night runs on the wall's time: the platform's is right as it is
    std::optional<std::uint64_t> fault_seed;  // makes SNTP fail at random
  };

  // The pace must outlive the clock. Without faults SNTP is right and answers every hour.
  DeviceClock(const Pace& pace, const Settings& settings);

  WallClock& wall() { return wall_; }
  // Lets SNTP say what it has to say by now.
  void step();
  // What the device hears of a reply of the platform: nothing while it is cut off from it; and
  // in a night that runs apart from the wall, the night's time instead of the wall's.
  std::vector<std::uint8_t> hear(const std::uint8_t* data, std::size_t size) const;

 private:
  // The clock on which epochs are made, which is not the protocol's.
  class NightClock : public Clock {
   public:
    explicit NightClock(const Pace& pace) : pace_(pace) {}
    std::uint64_t monotonic_ms() const override { return pace_.night_ms(); }

   private:
    const Pace& pace_;
  };

  void next_phase(Random& random);

  const Pace& pace_;
  NightClock night_;
  WallClock wall_;
  bool wall_time_;
  std::optional<Random> random_;  // there are faults
  std::uint64_t sntp_due_ms_;
  std::uint64_t phase_end_ms_ = 0;
  bool answers_ = true;
  bool cut_off_ = false;  // from the platform
  double error_s_ = 0;
};

}  // namespace noctis::host
