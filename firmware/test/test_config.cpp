// The configuration: read strictly, stored before it is followed, told to the platform.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "noctis/config.hpp"
#include "scripted_platform.hpp"
#include "vectors.hpp"

using namespace noctis;
using namespace noctis::test;

namespace {

std::optional<Config> read(const std::string& text) {
  return read_config(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
}

void configure(CourierBench& bench, const std::string& text) {
  bench.courier.on_message(DownChannel::config,
                           reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
  bench.courier.poll();
}

std::string last_report(const CourierBench& bench) {
  const auto reports = bench.uplink.of(Channel::config);
  return reports.empty() ? "" : reports.back().text;
}

std::string reason_for(const std::string& text, const std::string& name) {
  const auto config = read(text);
  REQUIRE(config);
  for (std::size_t i = 0; i < config->refusals; ++i) {
    if (config->refused[i].name.data() == name) {
      return config->refused[i].why;
    }
  }
  return "";
}

// Another boot of the same device.
struct Rebooted {
  explicit Rebooted(CourierBench& bench, std::uint32_t owner = 1)
      : spool(bench.nor, {owner, 2, 3}),
        courier(spool, bench.uplink, bench.clock, bench.wall_clock, bench.store, bench.board,
                "test 1", 5) {
    courier.begin(spool.mount());
  }
  Spool spool;
  Courier courier;
};

}  // namespace

TEST_CASE("a configuration sets what it names, and leaves the rest as it is by itself") {
  const auto config = read(R"({"version":3,"report_s":60,"led":false,"log_level":"debug"})");
  REQUIRE(config);
  CHECK(config->version == 3);
  CHECK(config->settings.report_s == 60);
  CHECK_FALSE(config->settings.led);
  CHECK(config->settings.log_level == LogLevel::debug);
  CHECK(config->refusals == 0);
  const auto bare = read(R"({"version":4294967295})");
  REQUIRE(bare);
  CHECK(bare->settings.report_s == 300);
  CHECK(bare->settings.led);
  CHECK(bare->settings.log_level == LogLevel::info);
}

TEST_CASE(
    "a name that the device cannot follow is refused with its reason, the others are not") {
  const std::string text =
      R"({"version":3,"report_s":9,"led":1,"log_level":"loud","volume":7,"tune":null})";
  CHECK(reason_for(text, "report_s") == "range");
  CHECK(reason_for(text, "led") == "type");
  CHECK(reason_for(text, "log_level") == "range");
  CHECK(reason_for(text, "volume") == "unknown");
  CHECK(reason_for(text, "tune") == "unknown");
  CHECK(reason_for(R"({"version":1,"report_s":86401})", "report_s") == "range");
  CHECK(reason_for(R"({"version":1,"report_s":"60"})", "report_s") == "type");
  CHECK(reason_for(R"({"version":1,"log_level":false})", "log_level") == "type");
  CHECK(read(text)->settings.report_s == 300);
  CHECK(reason_for(R"({"version":1,"report_s":10})", "report_s").empty());
  CHECK(reason_for(R"({"version":1,"report_s":86400})", "report_s").empty());
}

TEST_CASE("what is no configuration is none, whatever it names") {
  for (const char* text :
       {"", "{}", "[]", R"({"report_s":60})", R"({"version":0})", R"({"version":"3"})",
        R"({"version":-1})", R"({"version":4294967296})", R"({"version":3.5})",
        R"({"version":3,"led":[true]})", R"({"version":3,"led":{"on":true}})",
        R"({"version":3,"led":true,"led":false})", R"({"version":3,"version":4})",
        R"({"version":3,"":1})", R"({"version":3,"a-name-that-is-longer-than-32-chars":1})",
        R"({"version":3}x)", R"({"version":3)", "{\"version\":3,\"led\":\"\\u0041\"}"}) {
    CAPTURE(text);
    CHECK_FALSE(read(text));
  }
  std::string longest = R"({"version":3,"why":")";
  longest += std::string(kMostConfig - longest.size() - 2, 'x') + "\"}";
  CHECK(longest.size() == kMostConfig);
  CHECK(read(longest));
  CHECK_FALSE(read(longest.insert(12, " ")));
}

TEST_CASE("the largest report fits, with as many refused names as are told") {
  std::string text = R"({"version":4294967295,"report_s":86400,"log_level":"warning")";
  for (char name = 'a'; name < 'k'; ++name) {
    text += ",\"" + std::string(Config::kMostName, name) + "\":1";
  }
  const auto config = read(text + "}");
  REQUIRE(config);
  CHECK(config->refusals == 10);
  char json[Config::kReportSize];
  CHECK(config->report(json) > 0);
  const Json report(cJSON_Parse(json), cJSON_Delete);
  CHECK(cJSON_GetArraySize(cJSON_GetObjectItem(report.get(), "refused")) == 8);
  CHECK(number(report.get(), "refusals") == 10);
}

TEST_CASE(
    "a configuration is followed at once, told, and still there after the power was away") {
  CourierBench bench;
  bench.courier.begin(Spool::Mount::ready);
  bench.courier.on_state(true);
  configure(bench, R"({"version":2,"report_s":60,"led":false,"volume":3})");
  CHECK_FALSE(bench.board.light);
  const Json report(cJSON_Parse(last_report(bench).c_str()), cJSON_Delete);
  REQUIRE(report);
  CHECK(number(report.get(), "version") == 2);
  CHECK(number(cJSON_GetObjectItem(report.get(), "settings"), "report_s") == 60);
  CHECK(text(cJSON_GetObjectItem(report.get(), "refused"), "volume") == "unknown");
  bench.pass(3601);
  CHECK(bench.uplink.of(Channel::status).size() >= 60);
  bench.board.light = true;
  const Rebooted again(bench);
  CHECK(again.courier.settings().report_s == 60);
  CHECK_FALSE(bench.board.light);
}

TEST_CASE("an older configuration is passed over, and the same one is only told again") {
  CourierBench bench;
  bench.courier.begin(Spool::Mount::ready);
  bench.courier.on_state(true);
  configure(bench, R"({"version":7,"report_s":70})");
  const int writes = bench.store.writes;
  const std::size_t reports = bench.uplink.of(Channel::config).size();
  configure(bench, R"({"version":6,"report_s":60})");
  CHECK(bench.uplink.of(Channel::config).size() == reports);
  configure(bench, R"({"version":7,"report_s":60})");
  CHECK(bench.uplink.of(Channel::config).size() == reports + 1);
  CHECK(bench.courier.settings().report_s == 70);
  CHECK(bench.store.writes == writes);
  configure(bench, R"({"version":8})");
  CHECK(bench.courier.settings().report_s == 300);
}

TEST_CASE("wherever the power is cut a configuration is followed whole, before or after") {
  for (int cut = 0; cut < 3; ++cut) {
    CourierBench bench;
    bench.courier.begin(Spool::Mount::ready);
    bench.courier.on_state(true);
    configure(bench, R"({"version":1,"report_s":60})");
    bench.store.writes_left = cut;
    configure(bench, R"({"version":2,"report_s":120,"led":false})");
    bench.store.power_on();
    bench.board.light = true;
    Rebooted again(bench);
    CHECK(again.courier.settings().report_s == (cut == 0 ? 60 : 120));
    CHECK(bench.board.light == (cut == 0));
    again.courier.on_state(true);
    again.courier.on_message(DownChannel::config,
                             reinterpret_cast<const std::uint8_t*>(R"({"version":2})"), 13);
    CHECK(again.courier.settings().report_s == (cut == 0 ? 300 : 120));
  }
}

TEST_CASE("a configuration that the store does not take is not followed") {
  CourierBench bench;
  bench.courier.begin(Spool::Mount::ready);
  bench.courier.on_state(true);
  bench.store.full = true;
  configure(bench, R"({"version":2,"report_s":60})");
  CHECK(bench.courier.settings().report_s == 300);
  CHECK(last_report(bench).find(R"("version":0)") != std::string::npos);
}

TEST_CASE("another owner's configuration is not followed") {
  CourierBench bench;
  bench.courier.begin(Spool::Mount::ready);
  configure(bench, R"({"version":2,"report_s":60})");
  const Rebooted other(bench, 99);
  CHECK(other.courier.settings().report_s == 300);
}

TEST_CASE("the report is told again on the next connection, until the broker has it") {
  CourierBench bench;
  bench.courier.begin(Spool::Mount::ready);
  configure(bench, R"({"version":2})");
  CHECK(last_report(bench).empty());
  bench.courier.on_state(true);
  bench.courier.poll();
  CHECK(bench.uplink.of(Channel::config).size() == 1);
  bench.courier.on_state(false);
  bench.courier.on_state(true);
  bench.courier.poll();
  CHECK(bench.uplink.of(Channel::config).size() == 2);
  bench.courier.on_ack(bench.uplink.of(Channel::config).back().id);
  bench.pass(100);
  CHECK(bench.uplink.of(Channel::config).size() == 2);
}
