// Whole nights with something wrong, from the bytes of the sensors to features and health.
#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

#include "night.hpp"
#include "noctis/quantise.hpp"
#include "sensors.hpp"

using namespace noctis;
using namespace noctis::host;

namespace {

struct Made {
  Epoch epoch;
  Health health;
};

std::vector<Made> played(const Night& night, const SensorSetup& setup) {
  SensorFeed feed(night, setup);
  EpochBuilder builder;
  std::vector<Made> made;
  builder.begin(0);
  for (std::size_t k = 0; k < night.epochs(); ++k) {
    feed.play(30.0 * static_cast<double>(k), 30.0 * static_cast<double>(k + 1), builder);
    const Epoch epoch = builder.finish(static_cast<std::uint32_t>(k + 1) * kEpochMs);
    made.push_back({epoch, builder.health()});
  }
  return made;
}

SensorSetup with(const char* fault) {
  SensorSetup setup;
  setup.faults.push_back(parse_sensor_fault(fault).value());
  return setup;
}

// An hour of a living sleeper; a fault from the minute 20 to the minute 40: epochs 40 to 79.
const Night& hour() {
  static const Night night = make_up_night(11, 1.0);
  return night;
}

bool missing(const Epoch& epoch, Feature feature) {
  return epoch.codes[feature] == missing_code(feature);
}

double value(const Epoch& epoch, Feature feature) {
  return dequantise(feature, epoch.codes[feature]);
}

bool is_well(const Health& health) {
  return health.radar == RadarState::ok && health.accel == AccelState::ok;
}

// Mean difference of a feature where both nights have it; NaN if that is nowhere.
double mean_off(const std::vector<Made>& one, const std::vector<Made>& other, Feature feature) {
  double sum = 0.0;
  int count = 0;
  for (std::size_t k = 0; k < one.size(); ++k) {
    if (!missing(one[k].epoch, feature) && !missing(other[k].epoch, feature)) {
      sum += std::fabs(value(one[k].epoch, feature) - value(other[k].epoch, feature));
      ++count;
    }
  }
  return sum / count;
}

}  // namespace

TEST_CASE("a night is much the same through either family of radars") {
  Night night = make_up_night(3, 3.0);
  for (TimedValue& rate : night.heart_rate) {
    rate.value = rate.value > 0.0 ? rate.value + 15.0 : 0.0;  // above the module's lower end
  }
  SensorSetup setup;
  const auto seeed = played(night, setup);
  setup.radar = RadarFamily::r60abd1;
  const auto micradar = played(night, setup);
  int heart = 0;
  int breath = 0;
  for (std::size_t k = 2; k < night.epochs(); ++k) {
    heart += missing(micradar[k].epoch, hr_mean) ? 0 : 1;
    breath += missing(micradar[k].epoch, rr_regularity) ? 0 : 1;
    CHECK(micradar[k].epoch.in_bed == seeed[k].epoch.in_bed);
    CHECK(micradar[k].health.family == RadarFamily::r60abd1);
    CHECK(micradar[k].health.radar == RadarState::ok);
  }
  CHECK(heart >= static_cast<int>(night.epochs()) - 4);
  CHECK(breath >= static_cast<int>(night.epochs()) - 4);
  CHECK(mean_off(seeed, micradar, hr_mean) < 0.6);  // whole beats, every 3 s
  CHECK(mean_off(seeed, micradar, rr_mean) < 0.3);
  CHECK(mean_off(seeed, micradar, rr_sd) < 0.3);
  CHECK(mean_off(seeed, micradar, rr_regularity) < 0.05);
  CHECK(mean_off(seeed, micradar, resp_amp_cv) < 0.06);
  CHECK(mean_off(seeed, micradar, quality) < 0.1);
  CHECK(mean_off(seeed, micradar, act_count) == 0.0);
}

TEST_CASE("below 60 beats a minute the 53 59 family reads 60") {
  Night night = make_up_night(3, 0.2);
  for (TimedValue& rate : night.heart_rate) {
    rate.value = 50.0 + std::fmod(rate.t_s, 7.0);
  }
  SensorSetup setup;
  setup.radar = RadarFamily::r60abd1;
  CHECK(value(played(night, setup)[10].epoch, hr_mean) == 60.0);
  CHECK(value(played(night, setup)[10].epoch, hr_sd) == 0.0);
}

TEST_CASE("out of bed the 53 59 family falls silent, and is well all the same") {
  Night night = make_up_night(3, 1.0);
  for (std::size_t k = 40; k < 80; ++k) {
    night.present[k] = 0;
  }
  SensorSetup setup;
  setup.radar = RadarFamily::r60abd1;
  const auto made = played(night, setup);
  for (std::size_t k = 41; k < 80; ++k) {
    CHECK_FALSE(made[k].epoch.in_bed);
    CHECK(made[k].health.radar == RadarState::ok);
    CHECK(missing(made[k].epoch, hr_mean));
  }
  CHECK(made[81].epoch.in_bed);
  CHECK_FALSE(missing(made[81].epoch, hr_mean));
}

TEST_CASE("an unplugged radar leaves its features missing, and the accelerometer's alone") {
  const auto made = played(hour(), with("radar-unplugged@1200-2400"));
  CHECK(is_well(made[39].health));
  for (std::size_t k = 40; k < 80; ++k) {
    CHECK(missing(made[k].epoch, hr_mean));
    CHECK(missing(made[k].epoch, rr_mean));
    CHECK(missing(made[k].epoch, quality));
    CHECK_FALSE(missing(made[k].epoch, act_count));
    CHECK(made[k].health.radar == RadarState::silent);
  }
  CHECK(is_well(made[80].health));
  CHECK_FALSE(missing(made[80].epoch, hr_mean));
}

TEST_CASE("a frozen radar of either family is known by its first whole epoch") {
  for (const RadarFamily family : {RadarFamily::mr60bha2, RadarFamily::r60abd1}) {
    SensorSetup setup = with("radar-frozen@1200-2400");
    setup.radar = family;
    const auto made = played(hour(), setup);
    CHECK(made[39].health.radar == RadarState::ok);
    CHECK(made[40].health.radar == RadarState::frozen);
    for (std::size_t k = 41; k < 80; ++k) {
      CHECK(missing(made[k].epoch, hr_mean));
      CHECK(missing(made[k].epoch, rr_regularity));
      CHECK(value(made[k].epoch, quality) == 0.0);
      CHECK(made[k].health.radar == RadarState::frozen);
    }
    CHECK(made[81].health.radar == RadarState::ok);
    CHECK_FALSE(missing(made[81].epoch, hr_mean));
  }
}

TEST_CASE("a stuck presence of either family is not believed after ten minutes of stillness") {
  Night night = make_up_night(11, 1.0);
  for (std::size_t k = 40; k < 120; ++k) {
    night.present[k] = 0;
    night.motion_counts[k] = 0.0F;
  }
  for (const RadarFamily family : {RadarFamily::mr60bha2, RadarFamily::r60abd1}) {
    SensorSetup setup = with("presence-stuck@1200-3600");
    setup.radar = family;
    const auto made = played(night, setup);
    CHECK(made[50].epoch.in_bed);
    for (std::size_t k = 62; k < 120; ++k) {
      CHECK_FALSE(made[k].epoch.in_bed);
      CHECK(value(made[k].epoch, quality) == 0.0);
      CHECK(made[k].health.radar == RadarState::presence_stuck);
    }
  }
}

TEST_CASE("a sleeper whose breath a radar does not find is in bed, and has no breathing rate") {
  for (const RadarFamily family : {RadarFamily::mr60bha2, RadarFamily::r60abd1}) {
    SensorSetup setup = with("no-breathing@1200-2400");
    setup.radar = family;
    const auto made = played(hour(), setup);
    for (std::size_t k = 42; k < 79; ++k) {
      CHECK(made[k].epoch.in_bed);
      CHECK(missing(made[k].epoch, rr_mean));
      CHECK_FALSE(missing(made[k].epoch, hr_mean));
    }
    for (const std::size_t k : {std::size_t{30}, std::size_t{90}}) {
      CHECK(made[k].epoch.in_bed);
      CHECK_FALSE(missing(made[k].epoch, rr_mean));
    }
  }
}

TEST_CASE("noise on the UART costs frames, not epochs") {
  for (const RadarFamily family : {RadarFamily::mr60bha2, RadarFamily::r60abd1}) {
    SensorSetup setup = with("radar-noise@1200-2400");
    setup.radar = family;
    const auto clean = played(hour(), {family, {}});
    const auto made = played(hour(), setup);
    for (std::size_t k = 40; k < 80; ++k) {
      CHECK(made[k].health.radar == RadarState::ok);
      CHECK_FALSE(missing(made[k].epoch, hr_mean));
      CHECK_FALSE(value(made[k].epoch, hr_range) > 40.0);
    }
    CHECK(mean_off(clean, made, hr_mean) < 0.5);
    CHECK(mean_off(clean, made, rr_mean) < 0.3);
  }
}

TEST_CASE("a radar replaced by one of the other family is heard within an epoch") {
  const auto made = played(hour(), with("radar-swapped@1200-2400"));
  CHECK(made[39].health.family == RadarFamily::mr60bha2);
  for (std::size_t k = 40; k < 80; ++k) {
    CHECK(made[k].health.family == RadarFamily::r60abd1);
    CHECK_FALSE(missing(made[k].epoch, hr_mean));
  }
  CHECK(made[80].health.family == RadarFamily::mr60bha2);
}

TEST_CASE("an absent or frozen accelerometer leaves its features missing, and comes back") {
  const std::pair<const char*, AccelState> faults[] = {
      {"accel-absent@1200-2400", AccelState::absent},
      {"accel-frozen@1200-2400", AccelState::frozen}};
  for (const auto& one : faults) {
    const char* const fault = one.first;
    const AccelState state = one.second;
    const auto made = played(hour(), with(fault));
    CAPTURE(fault);
    for (std::size_t k = 40; k < 80; ++k) {
      CHECK(missing(made[k].epoch, act_count));
      CHECK(missing(made[k].epoch, still_s));
      CHECK_FALSE(missing(made[k].epoch, hr_mean));
      CHECK(made[k].health.accel == state);
    }
    CHECK_FALSE(missing(made[83].epoch, act_count));  // it is asked for once a minute
    CHECK(is_well(made[83].health));
    CHECK(made[83].health.accel_id == 0x68);
  }
}

TEST_CASE("a brown-out of the accelerometer costs less than a second") {
  const auto clean = played(hour(), {});
  const auto made = played(hour(), with("accel-brownout@1203-1204"));
  for (std::size_t k = 0; k < made.size(); ++k) {
    CHECK(is_well(made[k].health));
    CHECK_FALSE(missing(made[k].epoch, act_count));
  }
  CHECK(mean_off(clean, made, act_count) < 1.0);
}

TEST_CASE("a night without an accelerometer says so") {
  Night night = make_up_night(11, 0.1);
  night.motion_counts.clear();
  night.turns.clear();
  const auto made = played(night, {});
  CHECK(made[3].health.accel == AccelState::absent);
  CHECK(made[3].health.accel_id == 0);
}

TEST_CASE("a sensor fault is a kind and a part of the night") {
  const auto fault = parse_sensor_fault("radar-frozen@60-90.5");
  REQUIRE(fault);
  CHECK(fault->kind == SensorFault::Kind::radar_frozen);
  CHECK(fault->from_s == 60.0);
  CHECK(fault->to_s == 90.5);
  for (const char* wrong : {"", "@", "radar-frozen", "radar-frozen@1", "radar-frozen@2-1",
                            "radar-frozen@1-x", "frozen@1-2", "radar-frozen@-5"}) {
    CAPTURE(wrong);
    CHECK_FALSE(parse_sensor_fault(wrong));
  }
  CHECK(with("accel-absent@0-1").fault(SensorFault::Kind::accel_absent, 999) != nullptr);
  CHECK(with("accel-absent@0-1").fault(SensorFault::Kind::accel_absent, 1000) == nullptr);
  CHECK(with("accel-absent@0-1").fault(SensorFault::Kind::accel_frozen, 0) == nullptr);
}
