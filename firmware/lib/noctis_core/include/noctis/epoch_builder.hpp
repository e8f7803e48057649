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

  const Mr60bha2Parser& parser() const { return parser_; }

 private:
  void take(std::uint32_t now_ms, const RadarReading& reading);
  void heart_rate(std::uint32_t now_ms, float bpm);
  std::uint32_t elapsed(std::uint32_t now_ms);

  Mr60bha2Parser parser_;
  SlotSeries heart_;
  SlotSeries breath_rate_;
  FreezeDetector heart_freeze_;
  FreezeDetector breath_freeze_;
  SecondMask present_;
  SecondMask heart_valid_;
  SecondMask radar_heard_;
  Breathing breathing_;
  Motion motion_;
  std::uint32_t start_ms_ = 0;
  bool begun_ = false;
  bool presence_ = false;
};

}  // namespace noctis
