// Sets of up to 64 things, one bit each.
#pragma once

#include <bitset>
#include <cstdint>

namespace noctis {

// The lowest `count` bits, 1 to 64 of them.
constexpr std::uint64_t low_bits(std::uint32_t count) {
  return ~std::uint64_t{0} >> (64U - count);
}

inline std::uint32_t count_bits(std::uint64_t bits) {
  return static_cast<std::uint32_t>(std::bitset<64>(bits).count());
}

}  // namespace noctis
