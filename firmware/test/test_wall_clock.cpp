#include <algorithm>

#include "noctis/timekeeper.hpp"
#include "scripted_platform.hpp"
#include "vectors.hpp"

using namespace noctis;
using namespace noctis::test;

namespace {

constexpr std::uint32_t kBuiltS = 1'700'000'000;
constexpr std::uint64_t kUtc = 1'800'000'000'000;
constexpr std::uint64_t kDayMs = 86'400'000;

struct Clocks {
  SimulatedClock clock;
  WallClock wall{clock, kBuiltS};
};

// A device without SNTP on a connection that is up, and what it asked.
struct Asking : Clocks {
  Asking() { exchange.on_state(true); }

  std::size_t asked() const { return uplink.sent.size(); }
  std::uint64_t sent() const { return get_u64(&uplink.sent.back().bytes[4]); }
  void reply(std::uint64_t sent, std::uint64_t utc_ms) {
    const auto bytes = encode_time_reply(sent, utc_ms);
    exchange.on_reply(bytes.data(), bytes.size());
  }
  void pass(std::uint64_t ms) {
    const std::uint64_t end = clock.now_ms + ms;
    while (exchange.wake_ms() <= end) {
      clock.now_ms = std::max(clock.now_ms, exchange.wake_ms());
      exchange.poll();
    }
    clock.now_ms = end;
    exchange.poll();
  }

  ScriptedUplink uplink{clock};
  TimeExchange exchange{wall, uplink, clock, 5};
};

}  // namespace

TEST_CASE("UTC is unknown until it is learnt, and then known of every moment since boot") {
  Clocks it;
  it.clock.now_ms = 60'000;
  CHECK(it.wall.utc_at(60'000) == 0);
  CHECK(it.wall.source() == ClockSource::unknown);
  CHECK(it.wall.stale());
  CHECK(it.wall.learn(ClockSource::sntp, kUtc));
  CHECK(it.wall.utc_at(60'000) == kUtc);
  CHECK(it.wall.utc_at(10'000) == kUtc - 50'000);
  CHECK(it.wall.utc_at(70'000) == kUtc + 10'000);
  CHECK_FALSE(it.wall.stale());
}

TEST_CASE("a time before the firmware was built, or beyond what a RUN holds, is not believed") {
  Clocks it;
  for (const auto source : {ClockSource::sntp, ClockSource::platform}) {
    CHECK_FALSE(it.wall.learn(source, 0));
    CHECK_FALSE(it.wall.learn(source, std::uint64_t{1000} * kBuiltS - 1));
    CHECK_FALSE(it.wall.learn(source, std::uint64_t{4'294'967'296'000}));
    CHECK_FALSE(it.wall.learn(source, ~std::uint64_t{0}));
    CHECK(it.wall.utc_at(0) == 0);
  }
  CHECK(it.wall.learn(ClockSource::sntp, std::uint64_t{1000} * kBuiltS));
  CHECK(it.wall.learn(ClockSource::sntp, std::uint64_t{4'294'967'295'999}));
  CHECK_FALSE(it.wall.learn(ClockSource::sntp, 5));
  CHECK(it.wall.utc_at(0) == std::uint64_t{4'294'967'295'999});  // what was known stays
}

TEST_CASE("the platform's word counts where SNTP is silent, for a day at most against it") {
  Clocks it;
  CHECK(it.wall.learn(ClockSource::platform, kUtc));
  CHECK(it.wall.learn(ClockSource::platform, kUtc + 5000));
  CHECK(it.wall.learn(ClockSource::sntp, kUtc + 7000));
  it.clock.now_ms = kDayMs - 1;
  CHECK_FALSE(it.wall.stale());
  CHECK_FALSE(it.wall.learn(ClockSource::platform, kUtc));
  CHECK(it.wall.utc_at(0) == kUtc + 7000);
  it.clock.now_ms = kDayMs;
  CHECK(it.wall.stale());
  CHECK(it.wall.learn(ClockSource::platform, kUtc + kDayMs));
  CHECK(it.wall.utc_at(0) == kUtc);
  CHECK(it.wall.source() == ClockSource::platform);
}

TEST_CASE("a clock that was wrong by years and is set right begins a run with each step") {
  Clocks it;
  Timekeeper keeper;
  const auto stamp = [&] {
    const EpochStamp made = keeper.stamp(it.clock.now_ms, it.wall.utc_at(it.clock.now_ms));
    it.clock.now_ms += kEpochMs;
    return made;
  };
  constexpr std::uint64_t kYearMs = 365 * kDayMs;
  CHECK(stamp().utc_s == 0);
  it.wall.learn(ClockSource::sntp,
                kUtc - 2 * kYearMs);  // a stale server, still after the build
  const EpochStamp past = stamp();
  CHECK(past.breaks == RunReason::clock_learnt);
  CHECK_FALSE(stamp().breaks);
  it.wall.learn(ClockSource::sntp, kUtc + 30 * kYearMs);
  const EpochStamp future = stamp();
  CHECK(future.breaks == RunReason::clock_step);
  it.wall.learn(ClockSource::sntp, kUtc);
  const EpochStamp right = stamp();
  CHECK(right.breaks == RunReason::clock_step);
  CHECK(right.utc_s == kUtc / 1000);
  CHECK(right.tick_s == 120);
  it.wall.learn(ClockSource::sntp, kUtc - 3'600'000);  // set back by an hour
  CHECK(stamp().breaks == RunReason::clock_step);
  CHECK_FALSE(it.wall.learn(ClockSource::sntp, kUtc - 4 * kYearMs));  // before the build
  CHECK_FALSE(stamp().breaks);
}

TEST_CASE("every golden request is made, every golden reply is understood") {
  const Json times = load_vectors("times.json");
  const cJSON* item = nullptr;
  cJSON_ArrayForEach(item, times.get()) {
    const auto request = encode_time_request(hex64(item, "sent"));
    CHECK(hex(request.data(), request.size()) == text(item, "request"));
    const auto golden = unhex(text(item, "reply"));
    const auto reply = parse_time_reply(golden.data(), golden.size());
    REQUIRE(reply);
    CHECK(reply->sent == hex64(item, "sent"));
    CHECK(reply->utc_ms == hex64(item, "utc_ms"));
  }
}

TEST_CASE("a reply that is cut, longer, changed or of another version is ignored") {
  auto bytes = encode_time_reply(7, kUtc);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CHECK_FALSE(parse_time_reply(bytes.data(), size));
  }
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] ^= 0x10;
    CHECK_FALSE(parse_time_reply(bytes.data(), bytes.size()));
    bytes[i] ^= 0x10;
  }
  CHECK(parse_time_reply(bytes.data(), bytes.size()));
  bytes[0] = 2;
  put_u32(&bytes[20], crc32(bytes.data(), 20));
  CHECK_FALSE(parse_time_reply(bytes.data(), bytes.size()));
  bytes.push_back(0);
  CHECK_FALSE(parse_time_reply(bytes.data(), bytes.size()));
}

TEST_CASE("a device asks as soon as it is connected and halves the round trip") {
  Asking it;
  it.clock.now_ms = 5000;
  it.exchange.poll();
  REQUIRE(it.asked() == 1);
  CHECK(it.uplink.sent[0].channel == Channel::time);
  it.clock.now_ms = 5800;
  it.reply(it.sent(), kUtc);
  CHECK(it.wall.utc_at(5800) == kUtc + 400);
  CHECK(it.wall.source() == ClockSource::platform);
}

TEST_CASE("a reply that took over two seconds is ignored, and so is its repeat") {
  Asking it;
  it.exchange.poll();
  const std::uint64_t sent = it.sent();
  it.clock.now_ms = 2001;
  it.reply(sent, kUtc);
  it.reply(sent, kUtc);
  CHECK(it.wall.source() == ClockSource::unknown);
}

TEST_CASE(
    "a reply to another request, of an earlier connection or of another boot is ignored") {
  Asking it;
  it.exchange.poll();
  const std::uint64_t first = it.sent();
  it.reply(first + 1, kUtc);
  CHECK(it.wall.source() == ClockSource::unknown);
  it.exchange.on_state(false);
  it.exchange.on_state(true);
  it.reply(first, kUtc);
  CHECK(it.wall.source() == ClockSource::unknown);

  Clocks other;  // asks at the same tick of its own boot
  ScriptedUplink uplink(other.clock);
  TimeExchange exchange(other.wall, uplink, other.clock, 6);
  exchange.on_state(true);
  exchange.poll();
  const auto bytes = encode_time_reply(first, kUtc);
  exchange.on_reply(bytes.data(), bytes.size());
  CHECK(other.wall.source() == ClockSource::unknown);
}

TEST_CASE("while nobody answers a device asks after 30 s up to every 15 min, with jitter") {
  Asking it;
  it.pass(4 * 3'600'000);
  double expected_ms = 30'000;
  REQUIRE(it.asked() > 15);
  CHECK(it.asked() < 25);
  for (std::size_t i = 1; i < it.asked(); ++i) {
    const auto pause = it.uplink.sent[i].at_ms - it.uplink.sent[i - 1].at_ms;
    CHECK(static_cast<double>(pause) >= expected_ms);
    CHECK(static_cast<double>(pause) <= 1.25 * expected_ms);
    expected_ms = std::min(2 * expected_ms, 900'000.0);
  }
}

TEST_CASE("a platform whose clock is implausible is asked no oftener than one that is silent") {
  Asking it;
  for (int i = 0; i < 4 * 3600; ++i) {
    it.pass(1000);
    if (it.asked() > 0) {
      it.reply(it.sent(), 5000);
    }
  }
  CHECK(it.asked() < 25);
  CHECK(it.wall.source() == ClockSource::unknown);
}

TEST_CASE("where the platform is the only source it is asked once a day; SNTP ends that") {
  Asking it;
  std::size_t answered = 0;
  const auto live = [&](std::uint64_t days) {
    for (std::uint64_t tick = 0; tick < days * 8640; ++tick) {
      it.pass(10'000);
      if (it.asked() > answered) {
        it.clock.now_ms = it.uplink.sent.back().at_ms + 100;
        it.reply(it.sent(), kUtc + it.clock.now_ms);
        answered = it.asked();
      }
    }
  };
  live(7);
  CHECK(it.asked() == 7);
  for (int hour = 0; hour < 72; ++hour) {
    it.wall.learn(ClockSource::sntp, kUtc + it.clock.now_ms);
    it.pass(3'600'000);
  }
  CHECK(it.asked() == 7);
}

TEST_CASE("a connection that comes and goes asks no oftener than every 30 s") {
  Asking it;
  for (int i = 0; i < 3600; ++i) {
    it.exchange.on_state(false);
    it.exchange.on_state(true);
    it.pass(1000);
  }
  CHECK(it.asked() <= 121);
  CHECK(it.asked() >= 110);
}
