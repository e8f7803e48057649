// A sleeper for targets without files: sensor bytes of whole numbers alone, so that every
// machine makes the same. Nobody breathes like this; the arithmetic does not mind.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "noctis/mpu6050.hpp"

namespace noctis::target {

struct RadarBytes {
  std::array<std::uint8_t, 128> bytes;
  std::size_t size;
};
using Burst = std::array<std::uint8_t, kMpu6050BurstSize>;

class Sleeper {
 public:
  static constexpr std::uint32_t kRadarPeriodMs = 125;

  explicit Sleeper(std::uint32_t seed) : random_(seed) {}

  // How one epoch differs from the next: rates, movement, silent sensors.
  void begin_epoch(std::uint32_t number);
  // What the sensors send so many ms into the epoch; nothing while a sensor is silent.
  RadarBytes radar();
  bool accelerometer(std::uint32_t at_ms, Burst& burst);

 private:
  std::uint32_t below(std::uint32_t limit);
  std::int32_t noise(std::int32_t most);

  void breathe();

  std::uint32_t random_;
  std::uint32_t breath_ms_ = 4000;    // the length of the breath under way
  std::uint32_t breathed_ms_ = 4000;  // of it
  std::uint32_t usual_breath_ms_ = 4000;
  std::int32_t amplitude_ = 0;  // of it, 1/65536 rad
  std::int32_t heart_ = 0;      // 1/16 bpm, 0: none
  std::int32_t swing_ = 0;      // LSB of the accelerometer
  std::uint32_t moves_from_ms_ = 0;
  std::uint32_t moves_to_ms_ = 0;
  std::array<std::int32_t, 3> gravity_{};  // LSB
  bool present_ = true;
  bool radar_silent_ = false;
  bool accel_silent_ = false;
};

}  // namespace noctis::target
