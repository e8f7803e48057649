#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <optional>
#include <vector>

#include "device_clock.hpp"
#include "noctis/bytes.hpp"
#include "noctis/crc.hpp"
#include "noctis/time_exchange.hpp"

using namespace noctis;
using namespace noctis::host;

namespace {

constexpr double kMax = std::numeric_limits<double>::infinity();
constexpr std::uint64_t kBootMs = 1'700'000'000'000;
constexpr Traffic kIdle{true, false, false, 0};

// What the clock is wrong by, in seconds, each minute of some hours; unknown: nothing.
std::vector<std::optional<double>> errors(const DeviceClock::Settings& settings, int hours) {
  Pace pace({kMax, false, 3}, kBootMs);
  DeviceClock clock(pace, settings);
  std::vector<std::optional<double>> found;
  for (std::uint64_t minute = 0; minute < static_cast<std::uint64_t>(60 * hours); ++minute) {
    pace.pass(0.001, kIdle, 60'000 * minute);
    clock.step();
    const std::uint64_t now_ms = pace.night_ms();
    const std::uint64_t utc_ms = clock.wall().utc_at(now_ms);
    found.emplace_back();
    if (utc_ms != 0) {
      found.back() =
          (static_cast<double>(utc_ms) - static_cast<double>(pace.utc_at(now_ms))) / 1000;
    }
  }
  return found;
}

}  // namespace

TEST_CASE("without faults SNTP is right from when it answers") {
  const auto found = errors({600, false, std::nullopt}, 30);
  for (std::size_t minute = 0; minute < found.size(); ++minute) {
    CAPTURE(minute);
    REQUIRE(found[minute].has_value() == (minute >= 10));
    CHECK(found[minute].value_or(0) == 0);
  }
}

TEST_CASE("with faults the clock is unknown, right, and wrong by seconds, hours and years") {
  int unknown = 0, right = 0, seconds = 0, hours = 0, past = 0, future = 0, back = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    const auto found = errors({0, false, seed}, 12);
    for (std::size_t i = 0; i < found.size(); ++i) {
      if (!found[i]) {
        ++unknown;
        continue;
      }
      const double error = *found[i];
      right += error == 0 ? 1 : 0;
      seconds += std::abs(error) > 2 && std::abs(error) < 61 ? 1 : 0;
      hours += std::abs(error) > 600 && std::abs(error) < 40'001 ? 1 : 0;
      past += error < -3e7 ? 1 : 0;
      future += error > 3e7 ? 1 : 0;
      back += i > 0 && found[i - 1] && error < *found[i - 1] - 2 ? 1 : 0;
    }
    CHECK(found == errors({0, false, seed}, 12));  // the seed repeats it
  }
  for (const int count : {unknown, right, seconds, hours, past, future}) {
    CHECK(count > 10);  // minutes
  }
  CHECK(back > 5);  // times that it was set back
}

TEST_CASE("a night that runs apart from the wall hears the platform's time as the night's") {
  Pace pace({kMax, false, 3}, kBootMs);
  pace.pass(0.001, kIdle, 60'000);
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto wall_ms = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
  std::vector<std::uint8_t> reply(kTimeReplySize);
  reply[0] = 1;
  put_u64(&reply[4], 77);
  put_u64(&reply[12], wall_ms + 5000);  // a platform whose clock is 5 s fast
  put_u32(&reply[20], crc32(reply.data(), 20));
  for (const bool wall_time : {false, true}) {
    const DeviceClock clock(pace, {0, wall_time, std::nullopt});
    const auto bytes = clock.hear(reply.data(), reply.size());
    const auto heard = parse_time_reply(bytes.data(), bytes.size());
    REQUIRE(heard);
    CHECK(heard->sent == 77);
    const std::uint64_t expected = wall_time ? wall_ms + 5000 : kBootMs + 65'000;
    CHECK(heard->utc_ms <= expected);
    CHECK(heard->utc_ms + 2000 > expected);
  }
}
