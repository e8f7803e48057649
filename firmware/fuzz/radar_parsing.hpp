// What holds for every radar parser, whatever its bytes.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "expect.hpp"
#include "noctis/radar_parser.hpp"

namespace noctis::fuzz {

inline bool is_sane(const RadarReading& reading) {
  for (const float value : reading.values) {
    if (!(std::fabs(value) <= 1000.0F)) {
      return false;
    }
  }
  switch (reading.kind) {
    case RadarReading::Kind::heart_rate:
      return is_heart_rate(reading.values[0]);
    case RadarReading::Kind::breath_rate:
      return is_breath_rate(reading.values[0]);
    case RadarReading::Kind::presence:
      return reading.values[0] == 0.0F || reading.values[0] == 1.0F;
    case RadarReading::Kind::movement:
      return reading.values[0] >= 0.0F && reading.values[0] <= 100.0F;
    default:
      return true;
  }
}

// A caller who pushes more than fits loses bytes, never more than that.
template <typename Format>
void check_late_caller(const std::uint8_t* data, std::size_t size) {
  RadarParser<Format> parser;
  RadarReading reading{};
  for (std::size_t i = 0; i < size; ++i) {
    parser.push(data[i]);
  }
  while (parser.next(reading)) {
    expect(is_sane(reading), "a late reading is sane");
  }
}

// `good` is a frame that says a heart rate of 72.
template <typename Format, std::size_t N>
void check_parser(const std::uint8_t* data, std::size_t size, const std::uint8_t (&good)[N]) {
  check_late_caller<Format>(data, size);
  RadarParser<Format> parser;
  RadarReading reading{};
  std::size_t readings = 0;
  const auto push = [&](std::uint8_t byte) {
    parser.push(byte);
    while (parser.next(reading)) {
      expect(is_sane(reading), "a reading is sane");
      ++readings;
    }
  };
  for (std::size_t i = 0; i < size; ++i) {
    push(data[i]);
  }
  const RadarCounts& counts = parser.counts();
  expect(counts.skipped_bytes <= size, "no byte is skipped twice");
  expect(counts.frames >= readings + counts.refused, "every reading is of a frame");
  // A false start runs out within the longest frame; then all is as if nothing had been.
  for (std::size_t i = 0; i < Format::kMaxFrame; ++i) {
    push(0);
  }
  readings = 0;
  for (const std::uint8_t byte : good) {
    push(byte);
  }
  expect(readings == 1 && reading.kind == RadarReading::Kind::heart_rate &&
             reading.values[0] == 72.0F,
         "a good frame is read after whatever came before");
}

}  // namespace noctis::fuzz
