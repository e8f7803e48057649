// The device's own lines: few, short, sent once the broker can have them.
#include <doctest/doctest.h>

#include <string>

#include "noctis/json.hpp"
#include "noctis/log.hpp"
#include "scripted_platform.hpp"
#include "vectors.hpp"

using namespace noctis;
using namespace noctis::test;

namespace {

struct LogBench {
  LogBench() { log.set_boot(7); }
  void pass(double seconds) {
    const std::uint64_t end = clock.now_ms + static_cast<std::uint64_t>(1000 * seconds);
    for (; clock.now_ms < end; clock.now_ms += 100) {
      log.poll();
    }
  }
  std::string last() const { return uplink.sent.empty() ? "" : uplink.sent.back().text; }

  SimulatedClock clock;
  ScriptedUplink uplink{clock};
  Log log{uplink, clock};
};

}  // namespace

TEST_CASE("a line waits for the connection, and says when it was") {
  LogBench bench;
  bench.clock.now_ms = 1500;
  bench.log.write(LogLevel::warning, "the radar said %d \"words\"", 3);
  bench.pass(10);
  CHECK(bench.uplink.sent.empty());
  bench.log.on_state(true);
  bench.log.poll();
  CHECK(bench.last() == R"({"boot":7,"now_ms":11500,"dropped":0,"lines":[{"n":1,"at_ms":1500,)"
                        R"("level":"warning","text":"the radar said 3 ?words?"}]})");
}

TEST_CASE("lines above the level that is wanted are not taken") {
  LogBench bench;
  bench.log.on_state(true);
  bench.log.write(LogLevel::debug, "too much");
  bench.log.set_level(LogLevel::off);
  bench.log.write(LogLevel::error, "not wanted");
  bench.pass(100);
  CHECK(bench.uplink.sent.empty());
}

TEST_CASE("messages come with a pause between them, and again until the broker has them") {
  LogBench bench;
  bench.log.on_state(true);
  for (int i = 0; i < 10; ++i) {
    bench.log.write(LogLevel::info, "line %d", i);
  }
  bench.pass(29);
  CHECK(bench.uplink.sent.size() == 1);
  bench.pass(2);
  REQUIRE(bench.uplink.sent.size() == 2);
  CHECK(bench.last().find("line 3") != std::string::npos);
  CHECK(bench.last().find("line 4") == std::string::npos);
  bench.log.on_ack(bench.uplink.sent.back().id);
  bench.pass(4);
  CHECK(bench.uplink.sent.size() == 2);
  bench.pass(2);
  REQUIRE(bench.uplink.sent.size() == 3);
  CHECK(bench.last().find("line 4") != std::string::npos);
  bench.log.on_state(false);
  bench.log.on_state(true);
  bench.log.poll();
  CHECK(bench.last().find("line 4") != std::string::npos);
}

TEST_CASE("a line that repeats is counted, and of too many the oldest are dropped") {
  LogBench bench;
  for (int i = 0; i < 1000; ++i) {
    bench.log.write(LogLevel::error, "the flash refuses");
  }
  bench.log.on_state(true);
  bench.log.poll();
  CHECK(bench.last().find(R"("times":1000)") != std::string::npos);
  for (int i = 0; i < 100; ++i) {
    bench.log.write(LogLevel::error, "line %d", i);
  }
  bench.pass(31);
  CHECK(bench.last().find(R"("dropped":77)") != std::string::npos);
  CHECK(bench.last().find("line 76") != std::string::npos);
}

TEST_CASE("the largest message of lines fits") {
  LogBench bench;
  bench.log.set_boot(4294967295U);
  bench.clock.now_ms = 18'000'000'000'000'000'000U;
  for (int i = 0; i < 4; ++i) {
    bench.log.write(LogLevel::warning, "%d%0200d", i, 7);
    for (int again = 0; again < 3; ++again) {
      bench.log.write(LogLevel::warning, "%d%0200d", i, 7);
    }
  }
  bench.log.on_state(true);
  bench.log.poll();
  constexpr std::size_t digits = 4 * 18 + 20;  // that larger numbers have
  REQUIRE(!bench.last().empty());
  CHECK(bench.last().size() + digits < Log::kMessageSize);
}

TEST_CASE("what does not fit into a buffer is an empty text, never half of one") {
  char small[8];
  JsonWriter text(small);
  text.text("a", "bc");
  CHECK(text.finish() == 0);
  CHECK(small[0] == '\0');
  char larger[9];
  JsonWriter number(larger);
  number.number("a", std::uint64_t{999});
  CHECK(number.finish() == 0);
  char enough[10];
  JsonWriter writer(enough);
  writer.text("a", "b");
  CHECK(writer.finish() == 9);
}
