#include "noctis/wall_clock.hpp"

namespace noctis {
namespace {

constexpr std::uint64_t kLatestMs = 1000 * (std::uint64_t{1} << 32U);

}  // namespace

const char* name_of(ClockSource source) {
  switch (source) {
    case ClockSource::sntp:
      return "sntp";
    case ClockSource::platform:
      return "platform";
    case ClockSource::unknown:
      break;
  }
  return "unknown";
}

bool WallClock::learn(ClockSource source, std::uint64_t utc_ms) {
  const bool second_best = source == ClockSource::platform && source_ == ClockSource::sntp;
  if (utc_ms < earliest_ms_ || utc_ms >= kLatestMs || (second_best && !stale())) {
    return false;
  }
  source_ = source;
  learnt_ms_ = clock_.monotonic_ms();
  learnt_utc_ms_ = utc_ms;
  return true;
}

bool WallClock::stale() const {
  return source_ == ClockSource::unknown || clock_.monotonic_ms() - learnt_ms_ >= kFreshMs;
}

std::uint64_t WallClock::utc_at(std::uint64_t monotonic_ms) const {
  return source_ == ClockSource::unknown ? 0 : learnt_utc_ms_ + monotonic_ms - learnt_ms_;
}

}  // namespace noctis
