// One 30 s epoch as it is stored and sent: the 15 feature codes and whether someone was in bed.
#pragma once

#include <array>
#include <cstdint>

#include "noctis/features.hpp"

namespace noctis {

inline constexpr std::uint32_t kEpochMs = 30000;

struct Epoch {
  std::array<std::uint16_t, kFeatureCount> codes;  // in the order of features.toml
  bool in_bed;  // presence was reported for at least half of the epoch
};

}  // namespace noctis
