#include <doctest/doctest.h>

#include "synthetic.hpp"

using namespace noctis;
using namespace noctis::test;

namespace {

double value(const Epoch& epoch, Feature feature) {
  return dequantise(feature, epoch.codes[feature]);
}

// White noise of an MPU6050, 2.3 mg an axis.
float noise(double t_s, std::uint32_t axis) {
  auto state = (static_cast<std::uint32_t>(std::lround(t_s * 50.0)) * 3U + axis) * 2654435761U;
  float sum = 0.0F;
  for (int i = 0; i < 12; ++i) {
    state = state * 1664525U + 1013904223U;
    sum += static_cast<float>(state >> 8U) / 16777216.0F;
  }
  return 0.0023F * (sum - 6.0F);
}

AccelSample with_noise(double t_s, AccelSample sample) {
  return {sample.x + noise(t_s, 0), sample.y + noise(t_s, 1), sample.z + noise(t_s, 2)};
}

AccelSample at_rest(double t_s) { return with_noise(t_s, {0.0F, 0.0F, 1.0F}); }

// A swing along x of `amplitude` g at `hertz` during [from_s, to_s), else rest.
std::function<AccelSample(double)> swing(double amplitude, double hertz, double from_s,
                                         double to_s) {
  return [=](double t_s) {
    const bool moving = t_s >= from_s && t_s < to_s;
    const double x = moving ? amplitude * std::sin(kTwoPi * hertz * t_s) : 0.0;
    return with_noise(t_s, {static_cast<float>(x), 0.0F, 1.0F});
  };
}

Epoch epoch_of(std::function<AccelSample(double)> acceleration) {
  Bench bench;
  bench.acceleration = std::move(acceleration);
  return bench.epoch();
}

}  // namespace

TEST_CASE("a sensor at rest counts nothing") {
  const Epoch epoch = epoch_of(at_rest);
  CHECK(value(epoch, act_count) == 0.0);
  CHECK(value(epoch, move_frac) == 0.0);
  CHECK(value(epoch, still_s) == doctest::Approx(30.0).epsilon(0.02));
  CHECK(value(epoch, tilt_change) < 0.1);
  CHECK(value(epoch, enmo) < 1.5);
}

TEST_CASE("a swing is counted by what its mean exceeds the floor, 100 counts a g and second") {
  // Mean of a rectified sine: 2 / pi of its amplitude; floor 5 mg; ten seconds.
  for (const double amplitude : {0.02, 0.05, 0.1, 0.2, 0.4}) {
    const double expected = (amplitude * 0.6366 - 0.005) * 100.0 * 10.0;
    CAPTURE(amplitude);
    CHECK(value(epoch_of(swing(amplitude, 3.0, 10.0, 20.0)), act_count) ==
          doctest::Approx(expected).epsilon(0.06));
  }
}

TEST_CASE("breathing and the pull of gravity lie below the band") {
  // Breathing tilts the bed by 20 mg at 0.25 Hz: the band leaves it a sixteenth.
  CHECK(value(epoch_of(swing(0.02, 0.25, 0.0, 30.0)), act_count) == 0.0);
  CHECK(value(epoch_of(swing(0.02, 3.0, 0.0, 30.0)), act_count) > 15.0);
}

TEST_CASE("what shakes faster than 11 Hz is damped") {
  const double slow = value(epoch_of(swing(0.2, 5.0, 0.0, 30.0)), act_count);
  const double fast = value(epoch_of(swing(0.2, 22.0, 0.0, 30.0)), act_count);
  CHECK(fast < 0.1 * slow);
}

TEST_CASE("moving seconds and the seconds since are counted") {
  const Epoch epoch = epoch_of(swing(0.2, 3.0, 5.0, 14.0));
  CHECK(value(epoch, move_frac) == doctest::Approx(9.0 / 30.0).epsilon(0.15));
  CHECK(value(epoch, still_s) == doctest::Approx(15.5).epsilon(0.06));
}

TEST_CASE("stillness is carried from epoch to epoch until the next movement") {
  Bench bench;
  bench.acceleration = swing(0.2, 3.0, 2.0, 4.0);
  bench.epoch();
  bench.epoch();
  CHECK(bench.value(still_s) == doctest::Approx(85.5).epsilon(0.03));
  bench.acceleration = swing(0.2, 3.0, 100.0, 119.0);
  CHECK(bench.value(still_s) < 2.0);
}

TEST_CASE("time without an accelerometer does not count as still") {
  Bench bench;
  bench.acceleration = at_rest;
  bench.epoch();
  bench.acceleration = nullptr;
  const Epoch silent = bench.epoch();
  for (const Feature feature : {act_count, enmo, move_frac, still_s, tilt_change}) {
    CHECK(is_missing(silent, feature));
  }
  bench.acceleration = at_rest;
  CHECK(bench.value(still_s) == doctest::Approx(60.0).epsilon(0.03));
}

TEST_CASE("less than half an epoch of samples is missing, the rest is scaled to a whole one") {
  const auto until = [](double end_s) {
    Bench bench;
    bench.builder.begin(0);
    for (std::uint32_t ms = 0; ms < end_s * 1000.0; ms += kAccelPeriodMs) {
      bench.builder.acceleration(ms, swing(0.2, 3.0, 0.0, 30.0)(ms / 1000.0));
    }
    return bench.builder.finish(kEpochMs);
  };
  CHECK(is_missing(until(14.0), act_count));
  CHECK(value(until(15.0), act_count) ==
        doctest::Approx(value(until(30.0), act_count)).epsilon(0.05));
  CHECK(value(until(15.0), move_frac) == doctest::Approx(1.0));
}

TEST_CASE("turning over is the angle between gravity before and after") {
  for (const double degrees : {2.0, 30.0, 90.0, 150.0, 179.9}) {
    const double angle = degrees * kTwoPi / 360.0;
    const Epoch epoch = epoch_of([angle](double t_s) {
      const double now = t_s < 15.0 ? 0.0 : angle;
      return with_noise(
          t_s, {static_cast<float>(std::sin(now)), 0.0F, static_cast<float>(std::cos(now))});
    });
    CHECK(value(epoch, tilt_change) == doctest::Approx(degrees).epsilon(0.05));
  }
}

TEST_CASE("turning over is seen about every axis") {
  const AccelSample ways[6][2] = {{{1, 0, 0}, {0, 1, 0}},  {{0, 1, 0}, {0, 0, 1}},
                                  {{0, 0, 1}, {1, 0, 0}},  {{0, -1, 0}, {1, 0, 0}},
                                  {{0, 0, -1}, {0, 1, 0}}, {{-1, 0, 0}, {0, 0, 1}}};
  for (const auto& way : ways) {
    const Epoch epoch =
        epoch_of([&way](double t_s) { return with_noise(t_s, t_s < 15.0 ? way[0] : way[1]); });
    CHECK(value(epoch, tilt_change) == doctest::Approx(90.0).epsilon(0.05));
  }
}

TEST_CASE("a turn while the sensor was not heard is no movement") {
  Bench bench;
  bench.builder.begin(0);
  for (std::uint32_t ms = 0; ms < kEpochMs; ms += kAccelPeriodMs) {
    const bool before = ms < 10000;
    if (before || ms >= 10300) {
      const AccelSample gravity = before ? AccelSample{0, 0, 1} : AccelSample{1, 0, 0};
      bench.builder.acceleration(ms, with_noise(ms / 1000.0, gravity));
    }
  }
  const Epoch epoch = bench.builder.finish(kEpochMs);
  CHECK(value(epoch, act_count) == 0.0);
  CHECK(value(epoch, tilt_change) == doctest::Approx(90.0).epsilon(0.05));
}

TEST_CASE("a sensor whose one g is off by 8 percent has no more ENMO at rest") {
  Bench bench;
  bench.acceleration = [](double t_s) { return with_noise(t_s, {0.0F, 0.0F, 1.08F}); };
  bench.epoch();
  CHECK(bench.value(enmo) < 1.5);
}

TEST_CASE("ENMO is the mean excess over one g") {
  Bench bench;
  bench.acceleration = [](double t_s) {
    const double beyond = t_s < 30.0 ? 0.0 : 0.1 + 0.1 * std::sin(kTwoPi * 3.0 * t_s);
    return with_noise(t_s, {0.0F, 0.0F, static_cast<float>(1.0 + beyond)});
  };
  bench.epoch();
  CHECK(bench.value(enmo) == doctest::Approx(100.0).epsilon(0.05));
}

TEST_CASE("a sensor that repeats one reading is stuck: missing, not still") {
  const Epoch epoch = epoch_of([](double) { return AccelSample{0.0F, 0.0F, 1.0F}; });
  CHECK(is_missing(epoch, act_count));
  CHECK(is_missing(epoch, still_s));
}

TEST_CASE("readings that are no numbers are left out") {
  const Epoch epoch = epoch_of([](double t_s) {
    return std::lround(t_s * 50.0) % 10 == 0 ? AccelSample{std::nanf(""), 0.0F, 1.0F}
                                             : at_rest(t_s);
  });
  CHECK(value(epoch, act_count) == 0.0);
}

TEST_CASE("a sensor that starts tilted does not ring") {
  Bench bench;
  bench.acceleration = [](double t_s) { return with_noise(t_s, {0.7F, 0.7F, 0.14F}); };
  CHECK(bench.value(act_count) == 0.0);
}
