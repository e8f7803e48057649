#include "noctis/quantise.hpp"

#include <cmath>
#include <limits>

namespace noctis {

std::uint16_t quantise(Feature feature, double value) {
  const FeatureCode& code = kFeatures[feature];
  const double base = code.base;
  const double step = code.step;
  double raw = (value - base) / step;
  if (code.scale == Scale::log) {
    raw = std::log1p((value < 0.0 ? 0.0 : value) / base) / step;
  }
  if (!std::isfinite(raw)) {
    return missing_code(feature);
  }
  const double nearest = std::floor(raw + 0.5);
  const double last = static_cast<double>(missing_code(feature) - 1);
  if (nearest <= 0.0) {
    return 0;
  }
  return static_cast<std::uint16_t>(nearest < last ? nearest : last);
}

double dequantise(Feature feature, std::uint16_t code) {
  if (code >= missing_code(feature)) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  const double base = kFeatures[feature].base;
  const double step = kFeatures[feature].step;
  if (kFeatures[feature].scale == Scale::log) {
    return base * std::expm1(code * step);
  }
  return base + step * code;
}

}  // namespace noctis
