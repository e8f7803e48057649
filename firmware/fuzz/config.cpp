// Any bytes as a configuration.
#include "noctis/config.hpp"

#include <cstring>
#include <string>

#include "expect.hpp"

using noctis::fuzz::expect;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto config = noctis::read_config(data, size);
  if (!config) {
    return 0;
  }
  const std::string text(reinterpret_cast<const char*>(data), size);
  expect(size <= noctis::kMostConfig, "a configuration is short");
  expect(config->version != 0, "a configuration has a version");
  const noctis::Settings& settings = config->settings;
  expect(settings.report_s >= noctis::Settings::kLeastReportS &&
             settings.report_s <= noctis::Settings::kMostReportS,
         "the status comes neither too often nor never");
  expect(settings.log_level <= noctis::LogLevel::debug, "a level is one of those there are");
  for (std::size_t i = 0; i < config->refusals && i < noctis::Config::kMostRefused; ++i) {
    const char* const name = config->refused[i].name.data();
    expect(std::strlen(name) <= noctis::Config::kMostName, "a name is short");
    expect(text.find('"' + std::string(name) + '"') != std::string::npos,
           "what is refused was named");
    expect(config->refused[i].why != nullptr, "a refusal has a reason");
  }
  char json[noctis::Config::kReportSize];
  const std::size_t length = config->report(json);
  expect(length > 0 && std::strlen(json) == length, "the report is whole");
  return 0;
}
