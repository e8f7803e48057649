// When something last happened, in milliseconds of a monotonic clock that may wrap.
#pragma once

#include <cstdint>

namespace noctis {

class Moment {
 public:
  void mark(std::uint32_t now_ms) {
    at_ms_ = now_ms;
    happened_ = true;
  }
  void clear() { happened_ = false; }
  // Whether it happened, no longer ago than the limit.
  [[nodiscard]] bool within(std::uint32_t now_ms, std::uint32_t limit_ms) const {
    return happened_ && now_ms - at_ms_ <= limit_ms;
  }

 private:
  std::uint32_t at_ms_ = 0;
  bool happened_ = false;
};

}  // namespace noctis
