#include <doctest/doctest.h>

#include <initializer_list>
#include <limits>

#include "pace.hpp"

using namespace noctis::host;

namespace {

constexpr double kMax = std::numeric_limits<double>::infinity();
constexpr std::uint64_t kDue = 30000;

Pace pace_of(double speed) { return Pace({speed, true, 3}, 1'700'000'000'000); }

constexpr Traffic kIdle{true, false, false, 0};
constexpr Traffic kAnswering{true, true, false, 1};
constexpr Traffic kSilent{true, true, false, 10};
constexpr Traffic kFull{true, true, true, 1};
constexpr Traffic kDown{false, false, false, 1};
constexpr Traffic kDownLong{false, false, false, 10};

}  // namespace

TEST_CASE("real time is real time, whatever the network does") {
  for (const Traffic& traffic : {kIdle, kAnswering, kSilent, kFull, kDown, kDownLong}) {
    Pace pace = pace_of(1);
    pace.pass(12, traffic, kDue);
    CHECK(pace.night_ms() == 12000);
    CHECK(pace.monotonic_ms() == 12000);
    CHECK(pace.utc_at(pace.night_ms()) == 1'700'000'012'000);
    CHECK_FALSE(pace.held());
    CHECK(pace.until_night(kDue) == doctest::Approx(18));
  }
}

TEST_CASE("without a limit of speed the night jumps to the end of its epoch and no further") {
  Pace pace = pace_of(kMax);
  pace.pass(0.001, kIdle, kDue);
  CHECK(pace.night_ms() == kDue);
  pace.pass(0.001, kAnswering, 2 * kDue);
  CHECK(pace.night_ms() == 2 * kDue);
}

TEST_CASE("without a limit of speed the night waits for the network, but not for ever") {
  for (const Traffic& traffic : {kDown, kFull}) {
    Pace pace = pace_of(kMax);
    pace.pass(1, traffic, kDue);
    CHECK(pace.night_ms() == 0);
    CHECK(pace.held());
    Traffic silent = traffic;
    silent.silent_s = 10;
    pace.pass(1, silent, kDue);
    CHECK(pace.night_ms() == 30000);
    CHECK_FALSE(pace.held());
  }
}

TEST_CASE("at a given speed the night keeps its schedule, whatever the network does") {
  for (const Traffic& traffic : {kIdle, kAnswering, kSilent, kFull, kDown, kDownLong}) {
    Pace pace = pace_of(60);
    pace.pass(1, traffic, kDue);
    CHECK(pace.night_ms() == 60000);
    CHECK_FALSE(pace.held());
  }
}

TEST_CASE("a boot begins time anew, at the true time it is told") {
  Pace pace = pace_of(1);
  pace.pass(100, kIdle, kDue);
  pace.boot(pace.utc_at(130'000));
  CHECK(pace.night_ms() == 0);
  CHECK(pace.monotonic_ms() == 0);
  CHECK(pace.utc_at(90'000) == 1'700'000'220'000);
}

TEST_CASE("while answers come, the protocol's timers run in real time at any speed") {
  for (const double speed : {1.0, 60.0, kMax}) {
    Pace pace = pace_of(speed);
    pace.pass(20, kAnswering, kDue);
    CHECK(pace.monotonic_ms() == 20000);
  }
}

TEST_CASE("in a silence the timers of a fast device hurry") {
  Pace pace = pace_of(kMax);
  pace.pass(1, kSilent, kDue);
  CHECK(pace.monotonic_ms() == 30000);
  Pace slow = pace_of(2);
  slow.pass(1, kSilent, kDue);
  CHECK(slow.monotonic_ms() == 2000);
}

TEST_CASE("a device without a network waits for nothing") {
  Pace pace({kMax, false, 3});
  pace.pass(0.001, kDown, kDue);
  CHECK(pace.night_ms() == kDue);
}
