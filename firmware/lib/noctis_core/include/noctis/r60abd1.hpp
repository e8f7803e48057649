// The frames of the `53 59` family of 60 GHz radars: MicRadar's R60ABD1, DFRobot's SEN0623
// (C1001), Seeed's MR60BHA1 (UART, 115200 8N1):
//
//   53 59 | control | command | length u16 | data | sum | 54 43
//
// Numbers are big-endian; the sum is the low 8 bits of the sum of all bytes before it.
// Presence is said only when it changes, movement every second, rates every 3 s, the wave of
// the breath (five bytes around 128) every second; while nobody is there a module says little
// more than one sign of life a minute. The wave comes only in the real-time mode:
// 53 59 84 0F 00 01 00 40 54 43 switches a module to it.
#pragma once

#include "noctis/radar_parser.hpp"

namespace noctis {

struct R60abd1Format {
  static constexpr std::size_t kMaxData = 32;
  static constexpr std::size_t kMaxFrame = 6 + kMaxData + 3;

  static FrameLook look(const std::uint8_t* bytes, std::size_t size);
  static FrameSense read(const std::uint8_t* frame, std::size_t size, RadarReading& reading);
};

using R60abd1Parser = RadarParser<R60abd1Format>;

}  // namespace noctis
