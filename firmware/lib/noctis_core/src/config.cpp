#include "noctis/config.hpp"

#include <algorithm>
#include <string_view>

namespace noctis {
namespace {

constexpr const char* kUnknown = "unknown";
constexpr const char* kType = "type";
constexpr const char* kRange = "range";
constexpr std::array kLevels = {LogLevel::off, LogLevel::error, LogLevel::warning,
                                LogLevel::info, LogLevel::debug};

// Each returns why a value cannot be followed; null: it is.
const char* take_report_s(const JsonMember& member, Settings& settings) {
  if (!member.number) {
    return kType;
  }
  if (*member.number < Settings::kLeastReportS || *member.number > Settings::kMostReportS) {
    return kRange;
  }
  settings.report_s = *member.number;
  return nullptr;
}

const char* take_led(const JsonMember& member, Settings& settings) {
  settings.led = member.flag.value_or(settings.led);
  return member.flag ? nullptr : kType;
}

const char* take_log_level(const JsonMember& member, Settings& settings) {
  if (!member.text) {
    return kType;
  }
  const auto* const level = std::find_if(
      kLevels.begin(), kLevels.end(), [&](LogLevel it) { return name_of(it) == *member.text; });
  if (level == kLevels.end()) {
    return kRange;
  }
  settings.log_level = *level;
  return nullptr;
}

struct Name {
  std::string_view name;
  const char* (*take)(const JsonMember& member, Settings& settings);
};

constexpr std::array<Name, 3> kNames{
    {{"report_s", take_report_s}, {"led", take_led}, {"log_level", take_log_level}}};

const char* take(const JsonMember& member, Settings& settings) {
  for (const Name& it : kNames) {
    if (it.name == member.name) {
      return it.take(member, settings);
    }
  }
  return kUnknown;
}

void refuse(Config& config, std::string_view name, const char* why) {
  if (config.refusals < Config::kMostRefused) {
    Config::Refused& place = config.refused[config.refusals];
    std::copy(name.begin(), name.end(), place.name.begin());
    place.why = why;
  }
  ++config.refusals;
}

// Whether a name comes once more in the rest of the object.
bool again(JsonReader rest, std::string_view name) {
  JsonMember member;
  while (rest.next(member)) {
    if (member.name == name) {
      return true;
    }
  }
  return false;
}

}  // namespace

std::optional<Config> read_config(const std::uint8_t* data, std::size_t size) {
  if (size > kMostConfig) {
    return std::nullopt;
  }
  JsonReader reader({reinterpret_cast<const char*>(data), size});
  JsonMember member;
  Config config;
  while (reader.next(member)) {
    if (member.name.empty() || member.name.size() > Config::kMostName ||
        again(reader, member.name)) {
      return std::nullopt;
    }
    if (member.name == "version") {
      config.version = member.number.value_or(0);
    } else if (const char* const why = take(member, config.settings)) {
      refuse(config, member.name, why);
    }
  }
  if (!reader.complete() || config.version == 0) {
    return std::nullopt;
  }
  return config;
}

std::size_t Config::report(char (&json)[kReportSize]) const {
  JsonWriter writer(json);
  writer.number("version", std::uint64_t{version});
  writer.object("settings");
  writer.number("report_s", std::uint64_t{settings.report_s});
  writer.flag("led", settings.led);
  writer.text("log_level", name_of(settings.log_level));
  writer.end();
  writer.number("refusals", std::uint64_t{refusals});
  writer.object("refused");
  for (std::size_t i = 0; i < std::min(refusals, kMostRefused); ++i) {
    writer.text(refused[i].name.data(), refused[i].why);
  }
  return writer.finish();
}

}  // namespace noctis
