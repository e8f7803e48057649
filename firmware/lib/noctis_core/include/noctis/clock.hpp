// The device's two clocks.
#pragma once

#include <cstdint>

namespace noctis {

class Clock {
 public:
  Clock() = default;
  Clock(const Clock&) = delete;
  Clock& operator=(const Clock&) = delete;
  virtual ~Clock() = default;

  virtual std::uint64_t monotonic_ms() const = 0;  // since boot
  virtual std::uint64_t utc_ms() const = 0;        // since 1970; 0: unknown
};

}  // namespace noctis
