#include "noctis/slots.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace noctis {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr int kMinForSpread = 3;
constexpr int kMinForSlope = 4;
constexpr int kMinPairs = 2;

}  // namespace

void SlotSeries::add(std::uint32_t elapsed_ms, float value) {
  const std::size_t slot = std::min<std::size_t>(elapsed_ms / kSlotMs, kSlots - 1);
  values_[slot] = value;
  heard_[slot] = true;
}

SlotSummary SlotSeries::summary() const {
  SlotSummary result{kNan, kNan, kNan, kNan, kNan};
  int count = 0;
  int pairs = 0;
  double sum = 0.0;
  double slots = 0.0;
  double successive = 0.0;
  float low = std::numeric_limits<float>::infinity();
  float high = -low;
  for (std::size_t i = 0; i < kSlots; ++i) {
    if (!heard_[i]) {
      continue;
    }
    ++count;
    sum += static_cast<double>(values_[i]);
    slots += static_cast<double>(i);
    low = std::min(low, values_[i]);
    high = std::max(high, values_[i]);
    if (i == 0 || !heard_[i - 1]) {
      continue;
    }
    const double step = static_cast<double>(values_[i]) - static_cast<double>(values_[i - 1]);
    successive += step * step;
    ++pairs;
  }
  if (count == 0) {
    return result;
  }
  result.mean = sum / count;
  const double middle = slots / count;
  double square = 0.0;
  double product = 0.0;
  double spread = 0.0;
  for (std::size_t i = 0; i < kSlots; ++i) {
    if (!heard_[i]) {
      continue;
    }
    const double value = static_cast<double>(values_[i]) - result.mean;
    const double slot = static_cast<double>(i) - middle;
    square += value * value;
    product += value * slot;
    spread += slot * slot;
  }
  if (count >= kMinForSpread) {
    result.sd = std::sqrt(square / (count - 1));
    result.range = static_cast<double>(high) - static_cast<double>(low);
  }
  if (count >= kMinForSlope) {
    result.slope_per_min = product / spread * (60000.0 / kSlotMs);
  }
  if (pairs >= kMinPairs) {
    result.rmssd = std::sqrt(successive / pairs);
  }
  return result;
}

void SecondMask::set(std::uint32_t elapsed_ms, bool value) {
  const std::uint32_t bit = 1U << std::min(elapsed_ms / 1000, kSeconds - 1);
  bits_ = value ? bits_ | bit : bits_ & ~bit;
}

std::uint32_t SecondMask::count() const {
  std::uint32_t seconds = 0;
  for (std::uint32_t rest = bits_; rest != 0; rest &= rest - 1) {
    ++seconds;
  }
  return seconds;
}

}  // namespace noctis
