// What a device is to be set to: all of it, in one flat JSON object, read strictly.
//   {"version": 3, "report_s": 300, "led": true, "log_level": "info"}
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "noctis/json.hpp"
#include "noctis/log.hpp"

namespace noctis {

inline constexpr std::size_t kMostConfig = 508;  // bytes: with its owner, a value of a Store

// What is not named, or is refused, is as it is here.
struct Settings {
  static constexpr std::uint32_t kLeastReportS = 10;
  static constexpr std::uint32_t kMostReportS = 86'400;

  std::uint32_t report_s = 300;  // seconds from status to status
  bool led = true;               // the light may be on
  LogLevel log_level = LogLevel::info;
};

// A configuration: its settings, and which of its names the device cannot follow, and why.
struct Config {
  static constexpr std::size_t kMostRefused = 8;
  static constexpr std::size_t kMostName = 32;
  static constexpr std::size_t kReportSize = 640;

  struct Refused {
    std::array<char, kMostName + 1> name;
    const char* why;  // unknown, type or range
  };

  std::uint32_t version = 0;  // 0: none
  Settings settings;
  std::array<Refused, kMostRefused> refused{};
  std::size_t refusals = 0;  // of which the first ones are in `refused`

  // What the device reports: its version, the settings that it follows, and the refusals.
  std::size_t report(char (&json)[kReportSize]) const;
};

// Nothing where it is no configuration at all: no such object, without a version from 1 on,
// with a name twice or one of more than 32 characters, or longer than that.
std::optional<Config> read_config(const std::uint8_t* data, std::size_t size);

}  // namespace noctis
