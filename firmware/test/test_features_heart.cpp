#include <doctest/doctest.h>

#include "synthetic.hpp"

using namespace noctis;
using namespace noctis::test;

namespace {

// The rate of each 5 s slot; NaN: the radar says nothing, 0: it says that there is none.
Bench slots(const std::vector<double>& rates) {
  Bench bench;
  bench.presence = constant(1);
  bench.heart_rate = [rates](double t_s) {
    return rates[static_cast<std::size_t>(t_s / 5.0) % rates.size()];
  };
  return bench;
}

double value(const Epoch& epoch, Feature feature) {
  return dequantise(feature, epoch.codes[feature]);
}

}  // namespace

TEST_CASE("a rising heart rate has its mean, spread, slope and range") {
  const Epoch epoch = slots({60, 61, 62, 63, 64, 65}).epoch();
  CHECK(value(epoch, hr_mean) == doctest::Approx(62.5).epsilon(0.004));
  CHECK(value(epoch, hr_sd) == doctest::Approx(1.871).epsilon(0.06));
  CHECK(epoch.codes[hr_slope] == quantise(hr_slope, 12.0));
  CHECK(value(epoch, hr_rmssd) == doctest::Approx(1.0));
  CHECK(value(epoch, hr_range) == doctest::Approx(5.0));
}

TEST_CASE("a heart rate that alternates has no slope but all the more successive change") {
  const Epoch epoch = slots({60, 70, 70, 70, 70, 60}).epoch();
  CHECK(value(epoch, hr_slope) == doctest::Approx(0.0));
  CHECK(value(epoch, hr_rmssd) == doctest::Approx(6.325).epsilon(0.02));
  CHECK(value(epoch, hr_range) == doctest::Approx(10.0));
}

TEST_CASE("a slot is its last value: a new rate is not blended with the old one") {
  Bench bench;
  bench.heart_rate = [](double t_s) { return t_s < 2.5 ? 100.0 : 60.0; };
  const Epoch epoch = bench.epoch();
  CHECK(value(epoch, hr_range) == 0.0);
  CHECK(value(epoch, hr_mean) == doctest::Approx(60.0));
}

TEST_CASE("heart rate is missing if the radar finds none, and if it says nothing") {
  Bench none = slots({0, 0, 0, 0, 0, 0});
  Bench silent = slots({std::nan("")});
  for (Bench* bench : {&none, &silent}) {
    const Epoch epoch = bench->epoch();
    for (const Feature feature : {hr_mean, hr_sd, hr_slope, hr_rmssd, hr_range}) {
      CHECK(is_missing(epoch, feature));
    }
    CHECK(value(epoch, quality) == 0.0);
  }
}

TEST_CASE("each feature needs as many slots as it makes sense with") {
  const double nan = std::nan("");
  const Epoch one = slots({nan, nan, 70, nan, nan, nan}).epoch();
  CHECK(value(one, hr_mean) == doctest::Approx(70).epsilon(0.003));
  CHECK(is_missing(one, hr_sd));
  const Epoch three = slots({60, nan, 62, nan, 64, nan}).epoch();
  CHECK(value(three, hr_sd) == doctest::Approx(2.0));
  CHECK(value(three, hr_range) == doctest::Approx(4.0));
  CHECK(is_missing(three, hr_slope));
  CHECK(is_missing(three, hr_rmssd));  // no two of them are neighbours
  const Epoch neighbours = slots({60, 62, 66, nan, nan, nan}).epoch();
  CHECK(value(neighbours, hr_rmssd) == doctest::Approx(3.162).epsilon(0.03));
  const Epoch four = slots({60, 61, 62, 63, nan, nan}).epoch();
  CHECK(four.codes[hr_slope] == quantise(hr_slope, 12.0));
}

TEST_CASE("quality is presence times the share of seconds with a heart rate") {
  Bench bench;
  bench.presence = [](double t_s) { return t_s < 24.0 ? 1.0 : 0.0; };
  bench.heart_rate = [](double t_s) { return t_s < 15.0 ? 60.0 : 0.0; };
  const Epoch epoch = bench.epoch();
  CHECK(value(epoch, quality) == doctest::Approx(0.8 * 0.5));
  CHECK(epoch.in_bed);
}

TEST_CASE("half an epoch of presence is in bed, less is not") {
  Bench half;
  half.presence = [](double t_s) { return t_s < 15.0 ? 1.0 : 0.0; };
  CHECK(half.epoch().in_bed);
  Bench less;
  less.presence = [](double t_s) { return t_s < 14.0 ? 1.0 : 0.0; };
  CHECK_FALSE(less.epoch().in_bed);
}

TEST_CASE("a presence said once does not stand for the whole epoch") {
  Bench bench = slots({60});
  bench.presence = [](double t_s) { return t_s < 0.1 ? 1.0 : std::nan(""); };
  const Epoch epoch = bench.epoch();
  CHECK_FALSE(epoch.in_bed);
  CHECK(value(epoch, quality) == doctest::Approx(5.0 / 30.0));
}

TEST_CASE("quality is missing if the radar is silent") {
  Bench bench;
  CHECK(is_missing(bench.epoch(), quality));
}

TEST_CASE("a watch that repeats its rate for five minutes is believed") {
  Bench bench = slots({55});
  Epoch epoch{};
  for (int k = 0; k < 12; ++k) {
    epoch = bench.epoch();
  }
  CHECK(value(epoch, hr_mean) == doctest::Approx(55).epsilon(0.003));
  CHECK(value(epoch, quality) == doctest::Approx(1.0));
}

TEST_CASE("a rate that repeats for more than ten minutes is stuck: no value, no quality") {
  Bench bench = slots({55});
  Epoch epoch{};
  for (int k = 0; k < 21; ++k) {
    epoch = bench.epoch();
  }
  CHECK(value(epoch, quality) == doctest::Approx(1.0 / 30.0));  // its first moment
  epoch = bench.epoch();
  CHECK(is_missing(epoch, hr_mean));
  CHECK(value(epoch, quality) == 0.0);
  bench.heart_rate = constant(56);
  CHECK(bench.value(hr_mean) == doctest::Approx(56).epsilon(0.004));
}

TEST_CASE("while the phases stand still the radar hangs and its heart rate is not believed") {
  Bench bench = slots({60, 61, 62, 63, 64, 65});
  bench.breath_phase = constant(0.5);
  bench.epoch();
  const Epoch hung = bench.epoch();
  CHECK(is_missing(hung, hr_mean));
  CHECK(value(hung, quality) == 0.0);
  bench.breath_phase = [](double t_s) { return std::sin(t_s); };
  CHECK(bench.value(quality) == doctest::Approx(1.0));
}

TEST_CASE("a radar that stops sending phases is not taken for one that hangs") {
  Bench bench = slots({60, 61, 62, 63, 64, 65});
  bench.breath_phase = [](double t_s) { return t_s < 20.0 ? 0.5 : std::nan(""); };
  bench.epoch();
  CHECK(bench.value(quality) == doctest::Approx(1.0));
}

TEST_CASE("the clock may wrap within an epoch") {
  Bench bench = slots({60, 61, 62, 63, 64, 65});
  bench.now_ms = 0U - 12345U;
  const Epoch epoch = bench.epoch();
  CHECK(epoch.codes[hr_slope] == quantise(hr_slope, 12.0));
  CHECK(value(epoch, quality) == doctest::Approx(1.0));
}

TEST_CASE("an epoch begins where the last one ended") {
  Bench bench = slots({60, 61, 62, 63, 64, 65});
  const Epoch first = bench.epoch();
  const Epoch second = bench.epoch();
  CHECK(first.codes == second.codes);
}

TEST_CASE("what is heard after the epoch should have ended still belongs to its last slot") {
  Bench bench = slots({60, 60, 60, 60, 60, 60});
  bench.builder.begin(0);
  const auto frame = radar_frame(0x0A15, floats({90.0}));
  bench.builder.radar(33000, frame.data(), frame.size());
  const Epoch epoch = bench.builder.finish(33000);
  CHECK(value(epoch, hr_mean) == doctest::Approx(90.0).epsilon(0.003));
  SlotSeries series;
  series.add(4000000000U, 70.0F);
  CHECK(series.summary().mean == 70.0);
}
