// Plays a night as the bytes that its sensors would have sent.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "mpu6050_chip.hpp"
#include "night.hpp"
#include "noctis/epoch_builder.hpp"
#include "radar_module.hpp"
#include "sensor_faults.hpp"
#include "signals.hpp"

namespace noctis::host {

// The bytes of a radar's UART, and an MPU6050 that the driver asks 50 times a second. What they
// say at a moment depends only on the night, the setup and that moment: it may be played in any
// pieces, from anywhere. The night must outlive the feed.
class SensorFeed {
 public:
  // Whatever is fed is told to the listener as well.
  explicit SensorFeed(const Night& night, SensorSetup setup = {},
                      SensorListener* listener = nullptr);

  // The device's power came back: the accelerometer and its driver begin anew. The first play()
  // does this by itself.
  void power_up() { driver_.reset(); }
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
  void wake_accelerometer(std::int64_t ms);
  void radar_tick(std::int64_t ms, EpochBuilder& builder);
  void accel_tick(std::int64_t ms, EpochBuilder& builder);
  void trouble_accelerometer(std::int64_t ms);
  [[nodiscard]] Sight sight(std::int64_t ms);
  [[nodiscard]] std::vector<std::uint8_t> noisy(std::int64_t ms,
                                                const std::vector<std::uint8_t>& bytes) const;
  [[nodiscard]] float heart_rate_at(double t_s) const;
  [[nodiscard]] float breath_rate_before(std::size_t breath) const;
  [[nodiscard]] AccelSample gravity_at(std::size_t epoch, double second) const;

  const Night& night_;
  SensorSetup setup_;
  SensorListener* listener_;
  Mpu6050Chip chip_;
  std::unique_ptr<Mpu6050> driver_;   // since the power came back
  bool browned_out_ = false;          // by the fault that lasts
  std::vector<std::uint8_t> bytes_;   // of the radar's tick
  std::vector<Breath> breaths_;       // of the whole night, ascending; empty without breathing
  std::vector<AccelSample> gravity_;  // after each epoch, in g
  Movement movement_;
  std::size_t moving_epoch_ = SIZE_MAX;  // whose movement_ is planned
};

}  // namespace noctis::host
