// The device's monotonic clock. UTC is the WallClock's.
#pragma once

#include <cstdint>

namespace noctis {

class Clock {
 public:
  Clock() = default;
  Clock(const Clock&) = delete;
  Clock& operator=(const Clock&) = delete;
  virtual ~Clock() = default;

  // Since boot; 64 bits, so that it never wraps (32 do after 49.7 days).
  virtual std::uint64_t monotonic_ms() const = 0;
};

}  // namespace noctis
