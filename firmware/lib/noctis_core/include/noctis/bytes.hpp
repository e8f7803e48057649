// Little-endian numbers in byte buffers.
#pragma once

#include <cstddef>
#include <cstdint>

namespace noctis {

inline void put_u32(std::uint8_t* to, std::uint32_t value) {
  for (unsigned i = 0; i < 4; ++i) {
    to[i] = static_cast<std::uint8_t>(value >> (8U * i));
  }
}

inline void put_u64(std::uint8_t* to, std::uint64_t value) {
  put_u32(to, static_cast<std::uint32_t>(value));
  put_u32(to + 4, static_cast<std::uint32_t>(value >> 32U));
}

inline std::uint32_t get_u32(const std::uint8_t* from) {
  std::uint32_t value = 0;
  for (unsigned i = 0; i < 4; ++i) {
    value |= static_cast<std::uint32_t>(from[i]) << (8U * i);
  }
  return value;
}

inline std::uint64_t get_u64(const std::uint8_t* from) {
  return get_u32(from) | (static_cast<std::uint64_t>(get_u32(from + 4)) << 32U);
}

}  // namespace noctis
