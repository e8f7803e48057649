// The frames of Seeed's MR60BHA2 60 GHz radar (UART, 115200 8N1):
//
//   01 | id u16 | length u16 | type u16 | header check | data | data check
//
// The header is big-endian, the data little-endian; a check is the complement of the XOR of
// the bytes it covers (the 7 bytes before it; the data).
#pragma once

#include "noctis/radar_parser.hpp"

namespace noctis {

struct Mr60bha2Format {
  static constexpr std::size_t kMaxData = 64;
  static constexpr std::size_t kMaxFrame = 8 + kMaxData + 1;

  static FrameLook look(const std::uint8_t* bytes, std::size_t size);
  static FrameSense read(const std::uint8_t* frame, std::size_t size, RadarReading& reading);
};

using Mr60bha2Parser = RadarParser<Mr60bha2Format>;

}  // namespace noctis
