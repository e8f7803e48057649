// Bytes of radars' UARTs, and what the parsers make of them.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <vector>

#include "noctis/radar_parser.hpp"

namespace noctis::test {

using Bytes = std::vector<std::uint8_t>;

inline Bytes joined(const std::vector<Bytes>& parts) {
  Bytes all;
  for (const Bytes& part : parts) {
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

// A frame of the `53 59` family; `kind` is its control and command byte.
inline Bytes r60abd1_frame(std::uint16_t kind, const Bytes& data) {
  Bytes frame;
  frame.reserve(data.size() + 9);
  frame.push_back(0x53);
  frame.push_back(0x59);
  frame.push_back(static_cast<std::uint8_t>(kind >> 8U));
  frame.push_back(static_cast<std::uint8_t>(kind & 0xFFU));
  frame.push_back(static_cast<std::uint8_t>(data.size() >> 8U));
  frame.push_back(static_cast<std::uint8_t>(data.size() & 0xFFU));
  frame.insert(frame.end(), data.begin(), data.end());
  unsigned sum = 0;
  for (const std::uint8_t byte : frame) {
    sum += byte;
  }
  frame.push_back(static_cast<std::uint8_t>(sum & 0xFFU));
  frame.push_back(0x54);
  frame.push_back(0x43);
  return frame;
}

// A repeatable stream of bytes, evenly spread over all values.
class Garbage {
 public:
  explicit Garbage(std::uint32_t seed) : state_(seed) {}

  std::uint8_t byte() {
    state_ = state_ * 1664525U + 1013904223U;
    return static_cast<std::uint8_t>(state_ >> 24U);
  }
  Bytes bytes(std::size_t size) {
    Bytes all;
    for (std::size_t i = 0; i < size; ++i) {
      all.push_back(byte());
    }
    return all;
  }

 private:
  std::uint32_t state_;
};

template <typename Parser>
std::vector<RadarReading> feed(Parser& parser, const Bytes& bytes) {
  std::vector<RadarReading> readings;
  RadarReading reading{};
  for (const std::uint8_t byte : bytes) {
    parser.push(byte);
    while (parser.next(reading)) {
      readings.push_back(reading);
    }
  }
  return readings;
}

}  // namespace noctis::test
