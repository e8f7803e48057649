// Plays a night as the bytes that its sensors would have sent.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "night.hpp"
#include "noctis/epoch_builder.hpp"
#include "signals.hpp"

namespace noctis::host {

// MR60BHA2 frames at 8 Hz a type and MPU6050 bursts at 50 Hz. What is sent at a moment depends
// only on the night and that moment: it may be played in any pieces, from anywhere. The night
// must outlive the feed.
class SensorFeed {
 public:
  // Whatever is fed is told to the listener as well.
  explicit SensorFeed(const Night& night, SensorListener* listener = nullptr);

  // Feeds all samples of [from_s, to_s) of the night; now_ms is the night's time in ms.
  void play(double from_s, double to_s, EpochBuilder& builder);

 private:
  struct Breath {
    double start_s;
    double length_s;
    float amplitude;
  };

  // How an epoch's movement is spread over its seconds.
  struct Movement {
    std::array<float, 30> amplitude_g{};  // of each second's burst
    AccelSample axis{};
    float hertz = 0.0F;
    std::size_t first = 0;  // moving second
  };

  void lay_breaths();
  void lay_turns();
  void plan_movement(std::size_t epoch);
  void radar_tick(std::int64_t tick, std::size_t epoch, EpochBuilder& builder) const;
  void accel_tick(std::int64_t tick, std::size_t epoch, EpochBuilder& builder);
  [[nodiscard]] float heart_rate_at(double t_s) const;
  [[nodiscard]] float breath_rate_before(std::size_t breath) const;
  [[nodiscard]] AccelSample gravity_at(std::size_t epoch, double second) const;

  const Night& night_;
  SensorListener* listener_;
  std::vector<Breath> breaths_;       // of the whole night, ascending; empty without breathing
  std::vector<AccelSample> gravity_;  // after each epoch, in g
  Movement movement_;
  std::size_t moving_epoch_ = SIZE_MAX;  // whose movement_ is planned
};

}  // namespace noctis::host
