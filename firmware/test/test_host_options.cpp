#include <doctest/doctest.h>

#include <cmath>
#include <utility>
#include <vector>

#include "addresses.hpp"
#include "options.hpp"

using namespace noctis::host;

namespace {

std::optional<Options> parse(std::vector<const char*> words, std::string& error) {
  words.insert(words.begin(), "noctis-device");
  return parse_options(static_cast<int>(words.size()), words.data(), error);
}

const std::vector<const char*> kEnough = {"--tenant", "t1", "--device", "d1",
                                          "--nor",    "n",  "--log",    "l"};

std::vector<const char*> enough_and(const std::vector<const char*>& more) {
  std::vector<const char*> words = kEnough;
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

}  // namespace

TEST_CASE("every option is taken") {
  std::string error;
  const auto options = parse(enough_and({"--host",  "h",
                                         "--port",  "1884",
                                         "--seed",  "7",
                                         "--hours", "1.5",
                                         "--speed", "max",
                                         "--start", "1700000000",
                                         "--once",  "--devices",
                                         "3",       "--password-file",
                                         "p",       "--clock-after",
                                         "60",      "--drop-link",
                                         "12",      "--power-cuts",
                                         "0.5"}),
                             error);
  REQUIRE_MESSAGE(options, error);
  CHECK(options->tenant == "t1");
  CHECK(options->device == "d1");
  CHECK(options->nor == "n");
  CHECK(options->log == "l");
  CHECK(options->host == "h");
  CHECK(options->port == 1884);
  CHECK(options->seed == 7);
  CHECK(options->hours == 1.5);
  CHECK(std::isinf(options->speed));
  CHECK(options->start == 1700000000.0);
  CHECK(options->once);
  CHECK(options->devices == 3);
  CHECK(options->password_file == "p");
  CHECK(options->clock_after == 60);
  CHECK(options->faults.link_losses == 12);
  CHECK(options->faults.power_cuts == 0.5);
}

TEST_CASE("CSV needs neither a device nor files") {
  std::string error;
  const auto options = parse({"--to", "csv", "--night", "folder"}, error);
  REQUIRE(options);
  CHECK(options->csv);
  CHECK(options->night == "folder");
}

TEST_CASE("signals are printed, or played instead of a night") {
  std::string error;
  CHECK(parse({"--to", "signals"}, error)->signals);
  const auto played = parse({"--to", "csv", "--signals", "file"}, error);
  REQUIRE(played);
  CHECK(played->signals_file == "file");
  CHECK_FALSE(parse({"--to", "signals", "--signals", "file"}, error));
  CHECK(error == "--signals is for --to csv, and instead of --night");
  CHECK_FALSE(parse({"--to", "csv", "--signals", "file", "--night", "folder"}, error));
}

TEST_CASE("what is wrong is named, with what would be right") {
  const std::vector<std::pair<std::vector<const char*>, const char*>> cases = {
      {{"--port", "0"}, "--port needs a port, 1 to 65535, not '0'"},
      {{"--port", "18x"}, "--port needs a port"},
      {{"--speed", "-1"}, "--speed needs a positive number or max"},
      {{"--speed", "nan"}, "--speed needs"},
      {{"--hours", "0"}, "--hours needs hours"},
      {{"--devices", "0"}, "--devices needs a number"},
      {{"--to", "json"}, "--to needs csv or signals, not 'json'"},
      {{"--drop-link", "-1"}, "--drop-link needs a mean number an hour, 0 to 3600, not '-1'"},
      {{"--power-cuts", "often"}, "--power-cuts needs a mean number an hour"},
      {{"--radar", "ld2410"}, "--radar needs mr60bha2 or r60abd1, not 'ld2410'"},
      {{"--sensor-fault", "radar-deaf@1-2"}, "--sensor-fault needs KIND@FROM-TO"},
      {{"--start"}, "--start needs unix seconds"},
      {{"--colour"}, "unknown option '--colour'"},
      {{"--tenant", "T1"}, "--tenant must be 1 to 32 of a-z, 0-9 and '-', not 'T1'"},
      {{"--device", "a/b"}, "--device must be"},
      {{"--device", "a23456789012345678901234567890123"}, "--device must be"},
      {{"--tenant", "svc-live"}, "must not begin with svc-"},
      {{"--device", "a234567890123456789012345678", "--devices", "2"}, "at most 27"},
  };
  for (const auto& one : cases) {
    const auto& words = one.first;
    const auto& complaint = one.second;
    CAPTURE(complaint);
    std::string error;
    CHECK_FALSE(parse(enough_and(words), error));
    CHECK(error.find(complaint) != std::string::npos);
  }
  std::string error;
  CHECK_FALSE(parse({"--tenant", "t1", "--device", "d1"}, error));
  CHECK(error.find("--nor FILE and --log FILE are needed") != std::string::npos);
}

TEST_CASE("a cluster is named by its nodes") {
  const auto names = [](const char* text) {
    std::string told;
    for (const Address& broker : parse_addresses(text, 9)) {
      told += broker.host + "/" + std::to_string(broker.port) + " ";
    }
    return told;
  };
  CHECK(names("a") == "a/9 ");
  CHECK(names("a:1883,b,c:1") == "a/1883 b/9 c/1 ");
  CHECK(names("::1") == "::1/9 ");
  for (const char* wrong : {"", "a,", ",a", "a:", "a:0", "a:65536", "a:1x", ":1"}) {
    CHECK_MESSAGE(names(wrong).empty(), wrong);
    std::string error;
    CHECK_FALSE(parse(enough_and({"--host", wrong}), error));
    CHECK(error.find("--host needs") == 0);
  }
}

TEST_CASE("a certificate and its key go together, and with the CA of the broker") {
  std::string error;
  const auto all =
      parse(enough_and({"--tls-ca", "c", "--tls-certificate", "d", "--tls-key", "k"}), error);
  REQUIRE(all);
  CHECK(all->tls.ca == "c");
  CHECK(all->tls.certificate == "d");
  CHECK(all->tls.key == "k");
  CHECK(parse(enough_and({"--tls-ca", "c"}), error));
  const std::vector<std::vector<const char*>> wrong = {
      {"--tls-certificate", "d", "--tls-key", "k"},
      {"--tls-ca", "c", "--tls-key", "k"},
      {"--tls-ca", "c", "--tls-certificate", "d"},
  };
  for (const auto& words : wrong) {
    CHECK(!parse(enough_and(words), error));
    CHECK(error.find("go together") != std::string::npos);
  }
}
