// Physical values to feature codes and back: the same numbers as noctis/features.py.
#pragma once

#include <cstdint>

#include "noctis/features.hpp"

namespace noctis {

// The all-ones code that says "no value".
constexpr std::uint16_t missing_code(Feature feature) {
  return static_cast<std::uint16_t>((1U << kFeatures[feature].bits) - 1U);
}

// The code nearest to `value` (in the feature's unit), clamped to its range; NaN is missing.
std::uint16_t quantise(Feature feature, double value);

// The value that `code` stands for, NaN if missing.
double dequantise(Feature feature, std::uint16_t code);

}  // namespace noctis
