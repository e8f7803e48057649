#include <doctest/doctest.h>

#include "synthetic.hpp"

using namespace noctis;
using namespace noctis::test;

namespace {

const double kNone = std::nan("");

// A rate in each 5 s slot, NaN where nothing is said.
Signal slots(const std::vector<double>& rates) {
  return
      [rates](double t_s) { return rates[static_cast<std::size_t>(t_s / 5.0) % rates.size()]; };
}

// A signal of which nothing is said after `end_s`.
Signal until(double end_s, const Signal& signal) {
  return [=](double t_s) { return t_s < end_s ? signal(t_s) : kNone; };
}

Signal breathing(double length_s) {
  return [=](double t_s) { return -std::cos(kTwoPi * t_s / length_s); };
}

Bench heart(const std::vector<double>& rates) {
  Bench bench;
  bench.heart_rate = slots(rates);
  return bench;
}

Bench wave(const Signal& signal) {
  Bench bench;
  bench.breath_phase = signal;
  return bench;
}

// An accelerometer that is heard until `end_s`.
Bench moved(double end_s) {
  Bench bench;
  bench.acceleration = [=](double t_s) {
    const auto x = static_cast<float>(0.2 * std::sin(kTwoPi * 3.0 * t_s));
    return AccelSample{t_s < end_s ? x : std::nanf(""), 0.0F, 1.0F};
  };
  return bench;
}

struct Case {
  Feature feature;
  Bench enough;
  Bench too_little;
};

std::vector<Case> cases() {
  const double n = kNone;
  const Signal even = breathing(4.0);
  Bench rate;
  rate.breath_rate = slots({n, n, 14, n, n, n});
  Bench present;
  present.presence = until(1.0, constant(1));
  return {
      {hr_mean, heart({n, n, 60, n, n, n}), heart({n, n, 0, n, n, n})},
      {hr_sd, heart({60, n, 61, n, 62, n}), heart({60, n, 61, n, n, n})},
      {hr_slope, heart({60, n, 61, n, 62, 63}), heart({60, n, 61, n, 62, n})},
      {hr_rmssd, heart({60, 61, n, 62, 63, n}), heart({60, 61, n, 62, n, 63})},
      {hr_range, heart({60, n, 61, n, 62, n}), heart({60, n, 61, n, n, n})},
      {rr_mean, rate, Bench{}},
      {rr_sd, wave(even), wave(breathing(11.0))},
      {rr_sd, wave(until(23.0, even)), wave(until(22.0, even))},
      {rr_sd, wave(even), wave([even](double t_s) { return 5e-5 * even(t_s); })},
      {rr_regularity, wave(until(23.0, even)), wave(until(22.0, even))},
      {rr_regularity, wave(even), wave([even](double t_s) { return 5e-5 * even(t_s); })},
      {resp_amp_cv, wave(even), wave(breathing(11.0))},
      {resp_amp_cv, wave(until(23.0, even)), wave(until(22.0, even))},
      {act_count, moved(15.0), moved(14.4)},
      {enmo, moved(15.0), moved(14.4)},
      {move_frac, moved(15.0), moved(14.4)},
      {still_s, moved(15.0), moved(14.4)},
      {tilt_change, moved(15.0), moved(14.4)},
      {quality, present, Bench{}},
  };
}

}  // namespace

TEST_CASE("a feature has its all-ones code with too little to compute it, and only then") {
  std::array<int, kFeatureCount> tried{};
  for (Case& one : cases()) {
    CAPTURE(kFeatures[one.feature].name);
    CHECK(one.enough.epoch().codes[one.feature] < missing_code(one.feature));
    const std::uint16_t code = one.too_little.epoch().codes[one.feature];
    CHECK(code == (1U << kFeatures[one.feature].bits) - 1U);
    CHECK(std::isnan(dequantise(one.feature, code)));
    ++tried[one.feature];
  }
  for (std::size_t i = 0; i < kFeatureCount; ++i) {
    CAPTURE(kFeatures[i].name);
    CHECK(tried[i] > 0);
  }
}

TEST_CASE("an epoch in which nothing is said has no number at all") {
  Bench silent;
  silent.epoch();
  const Epoch epoch = silent.epoch();
  for (std::size_t i = 0; i < kFeatureCount; ++i) {
    CHECK(is_missing(epoch, static_cast<Feature>(i)));
  }
}

TEST_CASE("what was said in one epoch is not taken for the next one's") {
  Bench bench = moved(30.0);
  bench.heart_rate = until(30.0, slots({60, 61, 62, 63, 64, 65}));
  bench.breath_rate = until(30.0, constant(14));
  bench.breath_phase = until(30.0, breathing(4.0));
  bench.presence = until(30.0, constant(1));
  const Epoch full = bench.epoch();
  const Epoch empty = bench.epoch();
  for (std::size_t i = 0; i < kFeatureCount; ++i) {
    CAPTURE(kFeatures[i].name);
    CHECK_FALSE(is_missing(full, static_cast<Feature>(i)));
    CHECK(is_missing(empty, static_cast<Feature>(i)));
  }
}
