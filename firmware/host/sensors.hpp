// Plays a night as the bytes that its sensors would have sent.
#pragma once

#include <cstdint>

#include "night.hpp"
#include "noctis/epoch_builder.hpp"

namespace noctis::host {

// MR60BHA2 frames at 8 Hz a type and MPU6050 bursts at 50 Hz. What is sent at a moment depends
// only on the night and that moment: it may be played in any pieces, from anywhere. The night
// must outlive the feed.
class SensorFeed {
 public:
  explicit SensorFeed(const Night& night) : night_(night) {}

  // Feeds all samples of [from_s, to_s) of the night; now_ms is the night's time in ms.
  void play(double from_s, double to_s, EpochBuilder& builder);

 private:
  void radar_tick(std::int64_t tick, EpochBuilder& builder) const;
  void accel_tick(std::int64_t tick, EpochBuilder& builder) const;

  const Night& night_;
};

}  // namespace noctis::host
