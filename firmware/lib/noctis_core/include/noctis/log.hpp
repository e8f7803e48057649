// Lines of a device for whoever looks after it: kept in RAM, few and short, sent when there is
// a connection. What is repeated is counted, what does not fit is counted too. A line is made
// of constants and numbers: no password, key or payload is ever in one.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "noctis/clock.hpp"
#include "noctis/uplink.hpp"

namespace noctis {

enum class LogLevel : std::uint8_t { off, error, warning, info, debug };

const char* name_of(LogLevel level);

class Log {
 public:
  static constexpr std::size_t kLines = 24;
  static constexpr std::size_t kMostText = 96;  // characters
  static constexpr std::size_t kAtOnce = 4;     // lines of a message
  static constexpr std::size_t kMessageSize = 896;
  static constexpr std::uint64_t kPauseMs = 5000;      // from message to message
  static constexpr std::uint64_t kSilenceMs = 30'000;  // then a message is sent again

  Log(Uplink& uplink, const Clock& clock) : uplink_(uplink), clock_(clock) {}

  // Lines above it are not taken.
  void set_level(LogLevel most) { most_ = most; }
  // Which boot of the device this is.
  void set_boot(std::uint32_t boot) { boot_ = boot; }

  [[gnu::format(printf, 3, 4)]] void write(LogLevel level, const char* format, ...);

  void on_state(bool up);
  // The broker has message `id`.
  void on_ack(int id);
  void poll();
  std::uint64_t wake_ms() const;

 private:
  struct Line {
    std::uint32_t number;  // since boot, from 1
    std::uint32_t times;
    std::uint64_t at_ms;  // since boot, the last time
    LogLevel level;
    std::array<char, kMostText + 1> text;
  };

  Line& line(std::size_t place) { return lines_[(oldest_ + place) % kLines]; }
  bool repeats(LogLevel level, const char* text);
  void drop_oldest();
  std::size_t write_message(char (&json)[kMessageSize]);

  Uplink& uplink_;
  const Clock& clock_;
  std::array<Line, kLines> lines_{};
  LogLevel most_ = LogLevel::info;
  std::uint32_t boot_ = 0;
  std::uint32_t made_ = 0;     // lines since boot
  std::uint32_t dropped_ = 0;  // since boot, for want of room
  std::size_t oldest_ = 0;
  std::size_t held_ = 0;
  std::size_t on_way_ = 0;  // the oldest ones, in the message that is
  int message_ = -1;
  bool up_ = false;
  std::uint64_t not_before_ms_ = 0;
};

}  // namespace noctis
