#include <doctest/doctest.h>

#include <string>

#include "radar_bytes.hpp"
#include "synthetic.hpp"

using namespace noctis;
using namespace noctis::test;

namespace {

// A living sleeper before an MR60BHA2.
Bench sleeper() {
  Bench bench;
  bench.presence = constant(1);
  bench.heart_rate = [](double t_s) { return 60.0 + std::floor(t_s / 5.0); };
  bench.breath_rate = [](double t_s) { return 14.0 + 0.01 * std::floor(t_s); };
  bench.breath_phase = [](double t_s) { return std::sin(1.5 * t_s); };
  return bench;
}

// A module of the `53 59` family, minute by minute.
struct Module {
  EpochBuilder builder{RadarFamily::r60abd1};
  std::uint32_t now_ms = 0;

  void say(std::uint16_t kind, const Bytes& data) {
    const Bytes frame = r60abd1_frame(kind, data);
    builder.radar(now_ms, frame.data(), frame.size());
  }
  // An epoch in which it speaks every second.
  template <typename Speak>
  Epoch epoch(Speak speak) {
    for (int second = 0; second < 30; ++second) {
      speak(second);
      now_ms += 1000;
    }
    return builder.finish(now_ms);
  }
};

double value(const Epoch& epoch, Feature feature) {
  return dequantise(feature, epoch.codes[feature]);
}

std::uint8_t count(double wave) { return static_cast<std::uint8_t>(128.0 + 100.0 * wave); }

Bytes wave_until(double t_s) {
  Bytes data;
  for (int i = 4; i >= 0; --i) {
    data.push_back(count(std::sin(kTwoPi * (t_s - 0.2 * i) / 4.0)));
  }
  return data;
}

}  // namespace

TEST_CASE("a living sleeper's radar is well") {
  Bench bench = sleeper();
  bench.epoch();
  CHECK(bench.builder.health().radar == RadarState::ok);
  CHECK(bench.builder.health().family == RadarFamily::mr60bha2);
}

TEST_CASE("a radar that is unplugged is silent, and well again when it speaks again") {
  Bench bench = sleeper();
  bench.epoch();
  Bench unplugged = bench;
  unplugged.presence = unplugged.heart_rate = unplugged.breath_rate = nullptr;
  unplugged.breath_phase = nullptr;
  const Epoch epoch = unplugged.epoch();
  CHECK(unplugged.builder.health().radar == RadarState::silent);
  CHECK(is_missing(epoch, quality));
  CHECK(is_missing(epoch, hr_mean));
  CHECK_FALSE(epoch.in_bed);
  unplugged.presence = constant(1);
  unplugged.epoch();
  CHECK(unplugged.builder.health().radar == RadarState::ok);
}

TEST_CASE("a radar whose phases stand still is frozen") {
  Bench bench = sleeper();
  bench.breath_phase = constant(0.5);
  bench.epoch();
  CHECK(bench.builder.health().radar == RadarState::frozen);
  bench.breath_phase = [](double t_s) { return std::sin(t_s); };
  bench.epoch();
  CHECK(bench.builder.health().radar == RadarState::ok);
}

TEST_CASE("a radar that repeats a heart rate for more than ten minutes is frozen") {
  Bench bench = sleeper();
  bench.breath_phase = nullptr;
  bench.heart_rate = constant(55);
  for (int k = 0; k < 20; ++k) {
    bench.epoch();
    CHECK(bench.builder.health().radar == RadarState::ok);
  }
  bench.epoch();
  CHECK(bench.builder.health().radar == RadarState::frozen);
}

TEST_CASE("an empty bed, with all values at zero, is no frozen radar") {
  Bench bench;
  bench.presence = bench.heart_rate = bench.breath_rate = bench.breath_phase = constant(0);
  for (int k = 0; k < 25; ++k) {
    const Epoch epoch = bench.epoch();
    CHECK(value(epoch, quality) == 0.0);
    CHECK_FALSE(epoch.in_bed);
  }
  CHECK(bench.builder.health().radar == RadarState::ok);
}

TEST_CASE("a presence without any sign of life is not believed after ten minutes") {
  Bench bench;
  bench.presence = constant(1);
  bench.heart_rate = bench.breath_rate = constant(0);
  for (int k = 0; k < 20; ++k) {
    CHECK(bench.epoch().in_bed);
  }
  CHECK(bench.builder.health().radar == RadarState::ok);
  CHECK_FALSE(bench.epoch().in_bed);
  CHECK(bench.builder.health().radar == RadarState::presence_stuck);
  bench.breath_rate = constant(14);
  CHECK(bench.epoch().in_bed);
  CHECK(bench.builder.health().radar == RadarState::ok);
}

TEST_CASE("who moves in bed is there, even if the radar sees neither breath nor heart") {
  Bench bench;
  bench.presence = constant(1);
  bench.heart_rate = bench.breath_rate = constant(0);
  bench.acceleration = [](double t_s) {
    const double noise = 0.001 * std::sin(1000.0 * t_s);
    const double tossing = std::fmod(t_s, 300.0) < 2.0 ? 0.2 * std::sin(15.0 * t_s) : 0.0;
    return AccelSample{static_cast<float>(noise + tossing), 0.0F, 1.0F};
  };
  for (int k = 0; k < 60; ++k) {
    CHECK(bench.epoch().in_bed);
  }
}

TEST_CASE("who comes back after hours has ten minutes again to show life") {
  Bench bench;
  bench.heart_rate = bench.breath_rate = constant(0);
  bench.presence = constant(0);
  for (int k = 0; k < 60; ++k) {
    bench.epoch();
  }
  bench.presence = constant(1);
  CHECK(bench.epoch().in_bed);
}

TEST_CASE("the 53 59 family's rates, a report every 3 s, fill every second of quality") {
  Module module;
  const auto speak = [&module](int second) {
    module.say(0x8003, {1});
    if (second % 3 == 0) {
      module.say(0x8502, {static_cast<std::uint8_t>(60 + second / 10)});
      module.say(0x8102, {14});
    }
  };
  const Epoch epoch = module.epoch(speak);
  CHECK(value(epoch, quality) == 1.0);
  CHECK(epoch.in_bed);
  CHECK(value(epoch, hr_mean) == doctest::Approx(60.83).epsilon(0.01));
  CHECK(value(epoch, rr_mean) == doctest::Approx(14.0));
}

TEST_CASE("a breath wave of five samples a second shows the single breaths") {
  Module module;
  const auto speak = [&module](int) {
    module.say(0x8003, {1});
    module.say(0x8105, wave_until(module.now_ms / 1000.0));
  };
  module.epoch(speak);
  const Epoch epoch = module.epoch(speak);
  CHECK(value(epoch, rr_regularity) > 0.9);
  CHECK(value(epoch, rr_sd) < 0.4);
  CHECK(value(epoch, resp_amp_cv) < 0.1);
}

TEST_CASE("a clamped heart rate may repeat for hours while the wave moves") {
  Module module;
  const auto speak = [&module](int second) {
    module.say(0x8003, {1});
    module.say(0x8105, wave_until(module.now_ms / 1000.0 + 0.01 * second));
    module.say(0x8502, {60});
  };
  for (int k = 0; k < 60; ++k) {
    CHECK(value(module.epoch(speak), hr_mean) == 60.0);
  }
  CHECK(module.builder.health().radar == RadarState::ok);
}

TEST_CASE("a module of the 53 59 family that repeats its last wave is frozen") {
  Module module;
  const auto speak = [&module](int second) {
    module.say(0x8003, {1});
    module.say(0x8105, {100, 110, 120, 130, 140});
    module.say(0x8502, {static_cast<std::uint8_t>(60 + second)});
  };
  module.epoch(speak);
  const Epoch epoch = module.epoch(speak);
  CHECK(module.builder.health().radar == RadarState::frozen);
  CHECK(value(epoch, quality) == 0.0);
  CHECK(is_missing(epoch, hr_mean));
}

TEST_CASE("a wave at rest with a rate that repeats for more than ten minutes is frozen") {
  Module module;
  const auto speak = [&module](int) {
    module.say(0x8003, {1});
    module.say(0x8105, {128, 128, 128, 128, 128});
    module.say(0x8502, {60});
  };
  for (int k = 0; k < 20; ++k) {
    module.epoch(speak);
  }
  CHECK(module.builder.health().radar == RadarState::ok);
  module.epoch(speak);
  CHECK(module.builder.health().radar == RadarState::frozen);
}

TEST_CASE("an idle module of the 53 59 family is not silent, and nobody is in bed") {
  Module module;
  module.say(0x8001, {1});
  module.epoch([](int) {});
  module.say(0x8001, {0});
  for (int k = 0; k < 20; ++k) {
    const Epoch epoch = module.epoch([&module, k](int second) {
      if (k % 2 == 1 && second == 29) {
        module.say(0x0101, {0x0F});
      }
    });
    CHECK(module.builder.health().radar == RadarState::ok);
    CHECK(value(epoch, quality) == 0.0);
    CHECK_FALSE(epoch.in_bed);
  }
  for (int k = 0; k < 4; ++k) {
    module.epoch([](int) {});
  }
  CHECK(module.builder.health().radar == RadarState::silent);
}

TEST_CASE("movement tells presence where the module was never heard to announce it") {
  Module module;
  CHECK(module.epoch([&module](int) { module.say(0x8003, {1}); }).in_bed);
  CHECK_FALSE(module.epoch([&module](int) { module.say(0x8003, {0}); }).in_bed);
}

TEST_CASE("a presence of the 53 59 family that never moves nor breathes is stuck") {
  Module module;
  const auto still = [&module](int) { module.say(0x8003, {1}); };
  for (int k = 0; k < 20; ++k) {
    module.epoch(still);
  }
  CHECK_FALSE(module.epoch(still).in_bed);
  CHECK(module.builder.health().radar == RadarState::presence_stuck);
  CHECK(module.epoch([&module](int) { module.say(0x8003, {2}); }).in_bed);
}

TEST_CASE("the words of the sensors' health are the status's") {
  CHECK(std::string(name_of(RadarFamily::r60abd1)) == "r60abd1");
  CHECK(std::string(name_of(RadarFamily::unknown)) == "unknown");
  CHECK(std::string(name_of(RadarState::presence_stuck)) == "presence_stuck");
  CHECK(std::string(name_of(RadarState::silent)) == "silent");
  CHECK(std::string(name_of(AccelState::absent)) == "absent");
  CHECK(std::string(name_of(AccelState::frozen)) == "frozen");
}
