// Small helpers that keep what was heard within an epoch.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "noctis/epoch.hpp"

namespace noctis {

// Values of an epoch's six slots of 5 s; NaN where too few slots were heard.
struct SlotSummary {
  double mean;
  double sd;             // sample standard deviation, at least 3 slots
  double slope_per_min;  // least squares, at least 4 slots
  double rmssd;          // of neighbouring slots, at least 2 pairs
  double range;          // at least 3 slots
};

// The last value heard in each slot. The last, not the mean: sensors smooth their rates and
// repeat them until they have a new one, so a mean would blend the old value with the new one
// and take variability away that hr_sd and hr_rmssd are there to show.
class SlotSeries {
 public:
  static constexpr std::size_t kSlots = 6;
  static constexpr std::uint32_t kSlotMs = kEpochMs / kSlots;

  void add(std::uint32_t elapsed_ms, float value);
  void clear() { heard_ = {}; }
  [[nodiscard]] SlotSummary summary() const;

 private:
  std::array<float, kSlots> values_{};
  std::array<bool, kSlots> heard_{};
};

// A set of the epoch's 30 seconds.
class SecondMask {
 public:
  static constexpr std::uint32_t kSeconds = kEpochMs / 1000;

  void set(std::uint32_t elapsed_ms, bool value);
  void clear() { bits_ = 0; }
  [[nodiscard]] std::uint32_t count() const;

 private:
  std::uint32_t bits_ = 0;
};

}  // namespace noctis
