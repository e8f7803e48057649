// From the sensors' bytes to the 15 features of an epoch. FEATURES.md defines each of them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "noctis/breathing.hpp"
#include "noctis/epoch.hpp"
#include "noctis/freeze.hpp"
#include "noctis/health.hpp"
#include "noctis/moment.hpp"
#include "noctis/motion.hpp"
#include "noctis/mpu6050.hpp"
#include "noctis/radar.hpp"
#include "noctis/slots.hpp"

namespace noctis {

// Feed it whatever the sensors say, call finish() every 30 s. Times are milliseconds of one
// monotonic clock, which may wrap. Uses no heap. An epoch begins where the one before was
// finished, the first one at begin() or, without it, at the first input.
class EpochBuilder {
 public:
  // Without a family it listens and finds out which radar speaks.
  explicit EpochBuilder(RadarFamily family = RadarFamily::unknown) : radar_(family) {}

  void begin(std::uint32_t now_ms);
  // Any number of bytes from the radar's UART, cut anywhere.
  void radar(std::uint32_t now_ms, const std::uint8_t* bytes, std::size_t size);
  // Asks the accelerometer, to be called every 20 ms; returns the sample if there was one.
  std::optional<AccelSample> accelerometer(std::uint32_t now_ms, Mpu6050& chip);
  void acceleration(std::uint32_t now_ms, const AccelSample& sample);
  // Returns the epoch that ends now and begins the next one.
  Epoch finish(std::uint32_t now_ms);

  // How the sensors were at the end of the epoch finished last.
  [[nodiscard]] Health health() const { return health_; }
  [[nodiscard]] const RadarCounts& radar_counts() const { return radar_.counts(); }

 private:
  // A wrist watch repeats its heart rate for up to 5 min in deep sleep; 10 min are a defect.
  static constexpr std::uint32_t kRateFreezeMs = 600000;
  static constexpr std::uint32_t kWaveFreezeMs = 10000;

  using Values = std::array<float, 5>;
  using RateFreeze = FreezeDetector<float>;

  void take(std::uint32_t now_ms, const RadarReading& reading);
  void presence(std::uint32_t now_ms, bool present);
  void movement(std::uint32_t now_ms, float amount);
  void heart_rate(std::uint32_t now_ms, float bpm);
  void breath_rate(std::uint32_t now_ms, float rate);
  void phases(std::uint32_t now_ms, const Values& values);
  void breath_wave(std::uint32_t now_ms, const Values& values);
  bool wave_moves(std::uint32_t now_ms, const Values& values);
  bool believable(std::uint32_t now_ms, float rate, RateFreeze& freeze);
  [[nodiscard]] bool presence_stuck(std::uint32_t now_ms) const;
  [[nodiscard]] RadarState radar_state(std::uint32_t now_ms) const;
  std::uint32_t elapsed(std::uint32_t now_ms);

  Radar radar_;
  SlotSeries heart_;
  SlotSeries breath_rate_;
  Breathing breathing_;
  Motion motion_;
  RateFreeze heart_freeze_{kRateFreezeMs};
  RateFreeze breath_freeze_{kRateFreezeMs};
  FreezeDetector<Values> wave_freeze_{kWaveFreezeMs};
  SecondMask present_;
  SecondMask heart_valid_;
  Moment someone_;      // was said to be there
  Moment life_;         // was seen in them, or they came
  Moment heart_beats_;  // a believable heart rate came
  Moment wave_moved_;
  Moment wave_stuck_;
  Moment rate_stuck_;
  Health health_;
  AccelState accel_ = AccelState::absent;  // in this epoch
  std::uint32_t start_ms_ = 0;
  bool begun_ = false;
  bool radar_heard_ = false;  // in this epoch
};

}  // namespace noctis
