#include <doctest/doctest.h>

#include "noctis/timekeeper.hpp"

using namespace noctis;

namespace {

constexpr std::uint64_t kUtc = 1'700'000'000'000;

}  // namespace

TEST_CASE("an undisturbed night is one run on an exact grid, however the clocks jitter") {
  Timekeeper keeper;
  for (std::uint32_t k = 0; k < 1000; ++k) {
    const std::uint64_t jitter = k % 7;
    const EpochStamp stamp = keeper.stamp(5000 + 30000 * k + jitter, kUtc + 30000 * k - jitter);
    CHECK_FALSE(stamp.breaks);
    CHECK(stamp.tick_s == 5 + 30 * k);
    CHECK(stamp.utc_s == 1'700'000'000 + 30 * k);
  }
}

TEST_CASE("an epoch off the grid begins a run of its own") {
  Timekeeper keeper;
  keeper.stamp(0, kUtc);
  keeper.stamp(30000, kUtc + 30000);
  const EpochStamp late = keeper.stamp(77000, kUtc + 77000);
  CHECK(late.breaks == RunReason::grid);
  CHECK(late.tick_s == 77);
  CHECK(late.utc_s == 1'700'000'077);
  CHECK_FALSE(keeper.stamp(107000, kUtc + 107000).breaks);
}

TEST_CASE("small delays that add up begin a run before they shift the grid") {
  Timekeeper keeper;
  std::uint64_t start_ms = 0;
  std::uint64_t grid_s = 0;
  int runs = 0;
  for (int k = 0; k < 1000; ++k, start_ms += 30100) {  // every epoch is 100 ms late
    const EpochStamp stamp = keeper.stamp(start_ms, kUtc + start_ms);
    runs += stamp.breaks ? 1 : 0;
    grid_s = stamp.breaks || k == 0 ? stamp.tick_s : grid_s + 30;
    REQUIRE(stamp.tick_s == grid_s);  // what the seq alone says within a run
    REQUIRE(1000 * std::uint64_t{stamp.tick_s} + 1100 > start_ms);
    REQUIRE(1000 * std::uint64_t{stamp.tick_s} < start_ms + 1100);
  }
  CHECK(runs == 166);
}

TEST_CASE("learning the clock begins a run; before it the time is unknown") {
  Timekeeper keeper;
  CHECK(keeper.stamp(0, 0).utc_s == 0);
  CHECK(keeper.stamp(30000, 0).utc_s == 0);
  const EpochStamp learnt = keeper.stamp(60000, kUtc);
  CHECK(learnt.breaks == RunReason::clock_learnt);
  CHECK(learnt.utc_s == 1'700'000'000);
  CHECK(learnt.tick_s == 60);
}

TEST_CASE("a clock step over two seconds begins a run, a smaller one does not") {
  Timekeeper keeper;
  keeper.stamp(0, kUtc);
  CHECK_FALSE(keeper.stamp(30000, kUtc + 32000).breaks);
  CHECK_FALSE(keeper.stamp(60000, kUtc + 58000).breaks);
  const EpochStamp back = keeper.stamp(90000, kUtc + 87999);
  CHECK(back.breaks == RunReason::clock_step);
  CHECK(back.utc_s == 1'700'000'088);
}

TEST_CASE("a clock that drifts begins a new run once it is two seconds off") {
  Timekeeper keeper;
  int runs = 0;
  for (std::uint32_t k = 0; k < 2880; ++k) {  // a day at 100 ppm: 8.64 s
    runs += keeper.stamp(30000 * k, kUtc + 30003 * k).breaks ? 1 : 0;
  }
  CHECK(runs == 4);
}

TEST_CASE("a clock that is lost again is carried on by the monotonic one") {
  Timekeeper keeper;
  keeper.stamp(0, kUtc);
  CHECK_FALSE(keeper.stamp(30000, 0).breaks);
  const EpochStamp late = keeper.stamp(90000, 0);
  CHECK(late.breaks == RunReason::grid);
  CHECK(late.utc_s == 1'700'000'090);
}
