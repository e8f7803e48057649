#include <doctest/doctest.h>

#include "synthetic.hpp"

using namespace noctis;
using namespace noctis::test;

namespace {

double value(const Epoch& epoch, Feature feature) {
  return dequantise(feature, epoch.codes[feature]);
}

// About normal noise of standard deviation 1, the same in each run.
double noise(double t_s) {
  auto state = static_cast<std::uint32_t>(std::lround(t_s * 1000.0)) * 2654435761U + 1U;
  double sum = 0.0;
  for (int i = 0; i < 12; ++i) {
    state = state * 1664525U + 1013904223U;
    sum += static_cast<double>(state >> 8U) / 16777216.0;
  }
  return sum - 6.0;
}

// Breaths of the given lengths (s) and amplitudes, one after the other.
Signal breaths(std::vector<double> lengths, std::vector<double> amplitudes) {
  return [lengths = std::move(lengths), amplitudes = std::move(amplitudes)](double t_s) {
    double start = 0.0;
    for (std::size_t i = 0;; ++i) {
      const double length = lengths[i % lengths.size()];
      if (t_s < start + length) {
        return amplitudes[i % amplitudes.size()] * std::sin(kTwoPi * (t_s - start) / length);
      }
      start += length;
    }
  };
}

}  // namespace

TEST_CASE("even breathing is regular, with no spread of rate or amplitude") {
  Bench bench;
  bench.breath_rate = constant(15);
  bench.breath_phase = breaths({4.0}, {1.0});
  const Epoch epoch = bench.epoch();
  CHECK(value(epoch, rr_mean) == doctest::Approx(15.0));
  CHECK(value(epoch, rr_sd) <= 0.2);
  CHECK(value(epoch, rr_regularity) > 0.97);
  CHECK(value(epoch, resp_amp_cv) == 0.0);
}

TEST_CASE("breaths of two lengths have the spread of their rates") {
  // 60 / 3 = 20 and 60 / 5 = 12 a minute: six whole breaths from crossing to crossing.
  Bench bench;
  bench.breath_phase = breaths({3.0, 5.0}, {1.0});
  CHECK(bench.value(rr_sd) == doctest::Approx(4.3).epsilon(0.06));
}

TEST_CASE("breaths of two depths have the variation of their amplitudes") {
  // Peak to peak 2 and 4, evenly many: mean 3, sample standard deviation about 1.08.
  Bench bench;
  bench.breath_phase = breaths({4.0}, {1.0, 2.0});
  CHECK(bench.value(resp_amp_cv) == doctest::Approx(0.36).epsilon(0.15));
}

TEST_CASE("the noisier the breathing, the less regular it is") {
  double last = 1.0;
  for (const double level : {0.1, 0.5, 1.0, 2.0}) {
    Bench bench;
    bench.breath_phase = [level](double t_s) {
      return std::sin(kTwoPi * t_s / 4.0) + level * noise(t_s);
    };
    const double regularity = bench.value(rr_regularity);
    CHECK(regularity < last);
    last = regularity;
  }
  CHECK(last < 0.35);
}

TEST_CASE("a slow drift is not taken for breathing") {
  Bench drifting;
  drifting.breath_phase = [](double t_s) { return 0.2 * t_s; };
  CHECK(is_missing(drifting.epoch(), rr_sd));
  Bench both;
  both.breath_phase = [](double t_s) { return 0.2 * t_s + std::sin(kTwoPi * t_s / 4.0); };
  const Epoch epoch = both.epoch();
  CHECK(value(epoch, rr_regularity) > 0.95);
  CHECK(value(epoch, resp_amp_cv) <= 0.1);
}

TEST_CASE("all of breathing is missing if the radar sends none") {
  Bench bench;
  bench.presence = constant(1);
  bench.heart_rate = constant(60);
  const Epoch epoch = bench.epoch();
  for (const Feature feature : {rr_mean, rr_sd, rr_regularity, resp_amp_cv}) {
    CHECK(is_missing(epoch, feature));
  }
}

TEST_CASE("a waveform heard for less than three quarters of the epoch is not judged") {
  Bench bench;
  bench.breath_phase = [](double t_s) {
    return t_s < 22.0 ? std::sin(kTwoPi * t_s / 4.0) : std::nan("");
  };
  const Epoch epoch = bench.epoch();
  CHECK(is_missing(epoch, rr_regularity));
  CHECK(is_missing(epoch, resp_amp_cv));
}

TEST_CASE("a few lost frames do not change the waveform much") {
  Bench bench;
  bench.breath_phase = [](double t_s) {
    const bool lost = std::lround(t_s * 8.0) % 7 == 0;
    return lost ? std::nan("") : std::sin(kTwoPi * t_s / 4.0);
  };
  const Epoch epoch = bench.epoch();
  CHECK(value(epoch, rr_regularity) > 0.95);
  CHECK(value(epoch, rr_sd) <= 0.6);
}

TEST_CASE("a breathing rate that is stuck, or comes from a radar that hangs, is missing") {
  Bench stuck;
  stuck.breath_rate = constant(14);
  for (int k = 0; k < 20; ++k) {
    CHECK_FALSE(is_missing(stuck.epoch(), rr_mean));
  }
  stuck.epoch();
  CHECK(is_missing(stuck.epoch(), rr_mean));

  Bench hung;
  hung.breath_rate = [](double t_s) { return 14.0 + 0.01 * t_s; };
  hung.breath_phase = constant(0.5);
  hung.epoch();
  CHECK(is_missing(hung.epoch(), rr_mean));
}

TEST_CASE("fast and slow breaths are both recognised") {
  for (const double length : {1.7, 3.0, 6.0, 9.0}) {
    Bench bench;
    bench.breath_phase = breaths({length}, {1.0});
    CAPTURE(length);
    CHECK(bench.value(rr_regularity) > 0.9);
  }
}
