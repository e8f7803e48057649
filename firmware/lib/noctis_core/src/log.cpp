#include "noctis/log.hpp"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>

#include "noctis/json.hpp"

namespace noctis {

const char* name_of(LogLevel level) {
  switch (level) {
    case LogLevel::error:
      return "error";
    case LogLevel::warning:
      return "warning";
    case LogLevel::info:
      return "info";
    case LogLevel::debug:
      return "debug";
    case LogLevel::off:
      break;
  }
  return "off";
}

// Only of a line that is not on its way: what the platform has stays as it is.
bool Log::repeats(LogLevel level, const char* text) {
  if (held_ <= on_way_) {
    return false;
  }
  Line& newest = line(held_ - 1);
  if (newest.level != level || std::strcmp(newest.text.data(), text) != 0) {
    return false;
  }
  ++newest.times;
  newest.at_ms = clock_.monotonic_ms();
  return true;
}

void Log::drop_oldest() {
  oldest_ = (oldest_ + 1) % kLines;
  --held_;
  on_way_ -= on_way_ > 0 ? 1 : 0;
}

// The compiler checks the arguments against the format, as printf's.
// NOLINTNEXTLINE(cert-dcl50-cpp)
void Log::write(LogLevel level, const char* format, ...) {
  if (level == LogLevel::off || level > most_) {
    return;
  }
  std::array<char, kMostText + 1> text{};
  std::va_list values;
  va_start(values, format);
  std::vsnprintf(text.data(), text.size(), format, values);
  va_end(values);
  if (repeats(level, text.data())) {
    return;
  }
  if (held_ == kLines) {
    drop_oldest();
    ++dropped_;
  }
  line(held_++) = {++made_, 1, clock_.monotonic_ms(), level, text};
}

void Log::on_state(bool up) {
  up_ = up;
  message_ = -1;
  on_way_ = 0;
  not_before_ms_ = 0;
}

void Log::on_ack(int id) {
  if (message_ < 0 || id != message_) {
    return;
  }
  while (on_way_ > 0) {
    drop_oldest();
  }
  message_ = -1;
  not_before_ms_ = clock_.monotonic_ms() + kPauseMs;
}

std::uint64_t Log::wake_ms() const {
  return up_ && held_ > 0 ? not_before_ms_ : std::numeric_limits<std::uint64_t>::max();
}

void Log::poll() {
  const std::uint64_t now_ms = clock_.monotonic_ms();
  if (!up_ || held_ == 0 || now_ms < not_before_ms_) {
    return;
  }
  on_way_ = std::min(held_, kAtOnce);
  char json[kMessageSize];
  const std::size_t size = write_message(json);
  message_ = uplink_.publish(Channel::log, reinterpret_cast<const std::uint8_t*>(json), size);
  on_way_ = message_ < 0 ? 0 : on_way_;
  not_before_ms_ = now_ms + (message_ < 0 ? kPauseMs : kSilenceMs);
}

std::size_t Log::write_message(char (&json)[kMessageSize]) {
  JsonWriter writer(json);
  writer.number("boot", std::uint64_t{boot_});
  writer.number("now_ms", clock_.monotonic_ms());
  writer.number("dropped", std::uint64_t{dropped_});
  writer.list("lines");
  for (std::size_t i = 0; i < on_way_; ++i) {
    const Line& it = line(i);
    writer.object(nullptr);
    writer.number("n", std::uint64_t{it.number});
    writer.number("at_ms", it.at_ms);
    writer.text("level", name_of(it.level));
    writer.text("text", it.text.data());
    if (it.times > 1) {
      writer.number("times", std::uint64_t{it.times});
    }
    writer.end();
  }
  return writer.finish();
}

}  // namespace noctis
