// Fifty days after boot 32 bits of milliseconds wrap: nobody may notice.
#include <cmath>

#include "noctis/timekeeper.hpp"
#include "scripted_platform.hpp"
#include "synthetic.hpp"

using namespace noctis;
using namespace noctis::test;

namespace {

constexpr std::uint64_t kWrapMs = std::uint64_t{1} << 32U;

// A sleeper who turns around once a minute.
Bench sleeper(std::uint32_t boot_ms) {
  Bench bench;
  bench.now_ms = boot_ms;
  bench.presence = [](double) { return 1.0; };
  bench.heart_rate = [](double t) { return 55 + std::floor(4 * std::sin(t / 7)); };
  bench.breath_rate = [](double t) { return 13 + std::floor(2 * std::sin(t / 11)); };
  bench.breath_phase = [](double t) {
    return std::sin(kTwoPi * t / 4.5) * (1 + 0.1 * std::sin(t));
  };
  bench.acceleration = [](double t) {
    const bool turns = std::fmod(t, 60) < 3;
    const double g = turns ? 0.3 * std::sin(kTwoPi * 1.5 * t) : 0;
    return AccelSample{static_cast<float>(g), 0, 1};
  };
  return bench;
}

}  // namespace

TEST_CASE("the features of a night do not show that the milliseconds wrapped") {
  Bench young = sleeper(0);
  Bench old = sleeper(static_cast<std::uint32_t>(kWrapMs - 100'000));  // wraps in the 4th epoch
  for (int i = 0; i < 8; ++i) {
    CAPTURE(i);
    const Epoch expected = young.epoch();
    const Epoch epoch = old.epoch();
    CHECK(epoch.codes == expected.codes);
    CHECK(epoch.in_bed == expected.in_bed);
    CHECK(old.builder.health() == young.builder.health());
  }
  CHECK(old.now_ms < 200'000);
}

TEST_CASE("sixty days without a boot are one run on an exact grid") {
  Timekeeper keeper;
  for (std::uint64_t k = 0; k < 60 * 2880; ++k) {
    const EpochStamp stamp = keeper.stamp(30'000 * k, 1'800'000'000'000 + 30'000 * k);
    REQUIRE_FALSE(stamp.breaks);
    REQUIRE(stamp.tick_s == 30 * k);
    REQUIRE(stamp.utc_s == 1'800'000'000 + 30 * k);
  }
}

TEST_CASE("after fifty days of uptime epochs go out, are repeated and acknowledged as before") {
  CourierBench bench;
  bench.clock.now_ms = kWrapMs - 600'000;
  bench.wall_clock.learn(ClockSource::sntp, 1'800'000'000'000);
  bench.courier.on_state(true);
  for (int i = 0; i < 60; ++i) {  // twenty minutes on either side, every other one unanswered
    bench.pass(30);
    bench.make_epoch();
    REQUIRE(bench.went_live);
    const Published live = bench.uplink.of(Channel::epochs).back();
    CHECK(live.frame.run.utc_s != 0);
    if (i % 2 == 0) {
      bench.acknowledge(live);
    }
  }
  CHECK(bench.clock.now_ms > kWrapMs + 1'000'000);
  bench.pass(40);
  for (int i = 0; i < 100 && bench.spool.backlog() > 0; ++i) {
    bench.acknowledge(Published(bench.uplink.of(Channel::backlog).back()));
    bench.pass(40);
  }
  CHECK(bench.spool.backlog() == 0);
  CHECK(bench.wall_clock.utc_at(kWrapMs) == 1'800'000'600'000);
}
