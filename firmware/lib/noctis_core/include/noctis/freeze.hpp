// Notices a value that repeats for so long that it can only be stuck.
#pragma once

#include <cstdint>

namespace noctis {

template <typename Value>
class FreezeDetector {
 public:
  explicit FreezeDetector(std::uint32_t limit_ms) : limit_ms_(limit_ms) {}

  // True if exactly this value was heard for longer than the limit, without a pause of 5 s.
  bool frozen(std::uint32_t now_ms, const Value& value) {
    const bool repeats = heard_ && value == value_ && now_ms - heard_ms_ < kPauseMs;
    if (!repeats) {
      since_ms_ = now_ms;
    }
    heard_ = true;
    heard_ms_ = now_ms;
    value_ = value;
    return now_ms - since_ms_ > limit_ms_;
  }

 private:
  static constexpr std::uint32_t kPauseMs = 5000;

  std::uint32_t limit_ms_;
  std::uint32_t since_ms_ = 0;
  std::uint32_t heard_ms_ = 0;
  Value value_{};
  bool heard_ = false;
};

}  // namespace noctis
