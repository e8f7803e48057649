// UTC on the device: learnt from SNTP or from the platform, carried on by the monotonic clock.
#pragma once

#include <cstdint>

#include "noctis/clock.hpp"

namespace noctis {

enum class ClockSource : std::uint8_t { unknown, sntp, platform };

const char* name_of(ClockSource source);  // the word of the status JSON

class WallClock {
 public:
  // So long is what was learnt last good enough: a crystal of 40 ppm is 3.5 s off by then.
  static constexpr std::uint64_t kFreshMs = 86'400'000;

  // `built_s`: unix seconds at which the firmware was built. It cannot be earlier than that.
  WallClock(const Clock& clock, std::uint32_t built_s)
      : clock_(clock), earliest_ms_(std::uint64_t{1000} * built_s) {}

  // `source` says that it is utc_ms now. False if it is not believed, and nothing changes: a
  // moment before the firmware was built, or one that a RUN cannot hold (from 2106 on), or the
  // platform's word while SNTP answers. A step is believed: the Timekeeper begins a new RUN.
  bool learn(ClockSource source, std::uint64_t utc_ms);

  ClockSource source() const { return source_; }
  // Unknown, or learnt so long ago that it should be learnt again.
  bool stale() const;
  // Milliseconds since 1970 at that moment of the monotonic clock, before or after learning;
  // 0: unknown.
  std::uint64_t utc_at(std::uint64_t monotonic_ms) const;

 private:
  const Clock& clock_;
  std::uint64_t earliest_ms_;
  ClockSource source_ = ClockSource::unknown;
  std::uint64_t learnt_ms_ = 0;      // on the monotonic clock
  std::uint64_t learnt_utc_ms_ = 0;  // the same moment
};

}  // namespace noctis
