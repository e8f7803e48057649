// From the sensors' bytes to the 15 features of an epoch. FEATURES.md defines each of them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "noctis/breathing.hpp"
#include "noctis/epoch.hpp"
#include "noctis/motion.hpp"
#include "noctis/mpu6050.hpp"
#include "noctis/mr60bha2.hpp"
#include "noctis/slots.hpp"

namespace noctis {

// Feed it whatever the sensors say, call finish() every 30 s. Times are milliseconds of one
// monotonic clock, which may wrap. Uses no heap. An epoch begins where the one before was
// finished, the first one at begin() or, without it, at the first input.
class EpochBuilder {
 public:
  void begin(std::uint32_t now_ms);
  // Any number of bytes from the radar's UART, cut anywhere.
  void radar(std::uint32_t now_ms, const std::uint8_t* bytes, std::size_t size);
  void acceleration(std::uint32_t now_ms, const AccelSample& sample);
  // Returns the epoch that ends now and begins the next one.
  Epoch finish(std::uint32_t now_ms);

  [[nodiscard]] const Mr60bha2Parser& parser() const { return parser_; }

 private:
  // A wrist watch repeats its heart rate for up to 5 min in deep sleep; 10 min are a defect.
  static constexpr std::uint32_t kRateFreezeMs = 600000;
  static constexpr std::uint32_t kPhaseFreezeMs = 10000;

  void take(std::uint32_t now_ms, const RadarReading& reading);
  void heart_rate(std::uint32_t now_ms, float bpm);
  void breath_rate(std::uint32_t now_ms, float rate);
  void phases(std::uint32_t now_ms, float breath);
  [[nodiscard]] bool radar_hangs(std::uint32_t now_ms) const;
  std::uint32_t elapsed(std::uint32_t now_ms);

  Mr60bha2Parser parser_;
  SlotSeries heart_;
  SlotSeries breath_rate_;
  Breathing breathing_;
  Motion motion_;
  FreezeDetector heart_freeze_{kRateFreezeMs};
  FreezeDetector breath_freeze_{kRateFreezeMs};
  FreezeDetector phase_freeze_{kPhaseFreezeMs};
  SecondMask present_;
  SecondMask heart_valid_;
  std::uint32_t start_ms_ = 0;
  std::uint32_t presence_ms_ = 0;  // when it was last reported
  std::uint32_t phases_ms_ = 0;
  bool begun_ = false;
  bool presence_ = false;
  bool radar_heard_ = false;  // in this epoch
  bool phases_frozen_ = false;
};

}  // namespace noctis
