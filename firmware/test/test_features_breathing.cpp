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

// When phases are said, in ms from the start of the epoch: every `step_ms` of [from, to).
std::vector<std::uint32_t> every(std::uint32_t step_ms, std::uint32_t from_ms = 0,
                                 std::uint32_t to_ms = kEpochMs) {
  std::vector<std::uint32_t> times;
  for (std::uint32_t ms = from_ms; ms < to_ms; ms += step_ms) {
    times.push_back(ms);
  }
  return times;
}

void say(Breathing& breathing, const Signal& wave, const std::vector<std::uint32_t>& times) {
  for (const std::uint32_t ms : times) {
    breathing.add(ms, static_cast<float>(wave(ms / 1000.0)));
  }
}

BreathingSummary heard(const Signal& wave, const std::vector<std::uint32_t>& times) {
  Breathing breathing;
  say(breathing, wave, times);
  return breathing.finish();
}

// Within a step of their codes of each other.
void check_alike(const BreathingSummary& a, const BreathingSummary& b) {
  CHECK(std::fabs(a.rate_sd - b.rate_sd) <= kFeatures[rr_sd].step);
  CHECK(std::fabs(a.regularity - b.regularity) <= kFeatures[rr_regularity].step);
  CHECK(std::fabs(a.amplitude_cv - b.amplitude_cv) <= kFeatures[resp_amp_cv].step);
}

const Signal kEven = breaths({4.0}, {1.0});
const Signal kUneven = breaths({3.0, 5.0, 4.0}, {1.0, 0.7, 1.4});

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

TEST_CASE("five phases a second say the same as eight, and so do those at odd moments") {
  std::vector<std::uint32_t> odd;
  for (std::uint32_t k = 0; k < 240; ++k) {
    odd.push_back(125 * k + (k * 2654435761U >> 16U) % 120);
  }
  for (const Signal& wave :
       {kEven, kUneven, breaths({2.0, 2.4}, {1.0}), breaths({7.0}, {1.0})}) {
    const BreathingSummary eight = heard(wave, every(125));
    check_alike(heard(wave, every(200)), eight);
    check_alike(heard(wave, every(200, 70)), eight);
    check_alike(heard(wave, odd), eight);
  }
}

TEST_CASE("whether a waveform is judged depends on the time it covers, not on its rate") {
  for (const std::uint32_t step_ms : {50U, 125U, 200U, 500U}) {
    CAPTURE(step_ms);
    CHECK(std::isnan(heard(kEven, every(step_ms, 0, 22000)).regularity));
    CHECK(heard(kEven, every(step_ms, 0, 23000)).regularity > 0.95);
  }
  CHECK(std::isnan(heard(kEven, every(1200)).regularity));
}

TEST_CASE("a pause of at most a second is bridged") {
  std::vector<std::uint32_t> times;
  for (const std::uint32_t ms : every(100)) {
    if (ms % 5000 < 4100 || ms % 5000 > 4900) {
      times.push_back(ms);
    }
  }
  check_alike(heard(kEven, times), heard(kEven, every(125)));
}

TEST_CASE("a longer pause is no breath, and the radar may come back with another zero") {
  const Signal moved = [](double t_s) { return kEven(t_s) + (t_s < 14.0 ? 0.0 : 50.0); };
  for (const std::uint32_t step_ms : {125U, 200U}) {
    std::vector<std::uint32_t> times = every(step_ms, 0, 13000);
    const auto after = every(step_ms, 17800);
    times.insert(times.end(), after.begin(), after.end());
    const BreathingSummary summary = heard(moved, times);
    CHECK(summary.rate_sd < 0.3);
    CHECK(summary.amplitude_cv < 0.05);
    CHECK(summary.regularity > 0.9);
  }
}

TEST_CASE("a phase at the end of an epoch is bridged to the first of the next one") {
  Breathing breathing;
  say(breathing, kEven, every(200));
  breathing.finish();
  say(breathing, kEven, every(200, 600, 22700));
  CHECK(breathing.finish().regularity > 0.95);
  say(breathing, kEven, every(200, 600, 22700));
  CHECK(std::isnan(breathing.finish().regularity));
}

TEST_CASE("a phase that is older than the one before is left out") {
  std::vector<std::uint32_t> times;
  for (const std::uint32_t ms : every(110)) {
    times.push_back(ms);
    times.push_back(ms > 3000 ? ms - 2000 : 0);
  }
  check_alike(heard(kEven, times), heard(kEven, every(125)));
}

TEST_CASE("a waveform without three whole breaths has no spread, but may be regular") {
  const BreathingSummary slow = heard(breaths({11.0}, {1.0}), every(125));
  CHECK(std::isnan(slow.rate_sd));
  CHECK(std::isnan(slow.amplitude_cv));
  CHECK(slow.regularity > 0.9);
}
