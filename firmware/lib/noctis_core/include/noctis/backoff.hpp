// Pauses that grow while nobody answers.
#pragma once

#include <algorithm>
#include <cstdint>

namespace noctis {

class Backoff {
 public:
  static constexpr std::uint64_t kLeastMs = 30'000;
  static constexpr std::uint64_t kMostMs = 900'000;

  explicit Backoff(std::uint64_t seed) : random_(seed | 1U) {}

  // Pauses are up to a quarter longer than due, so that devices that fell silent together do
  // not come back together.
  std::uint64_t pause_ms() { return spread(pause_ms_); }
  // The pause of who is answered.
  std::uint64_t least_ms() { return spread(kLeastMs); }
  void lengthen() { pause_ms_ = std::min(2 * pause_ms_, kMostMs); }
  void reset() { pause_ms_ = kLeastMs; }

  // xorshift64 (Marsaglia 2003).
  std::uint64_t random() {
    random_ ^= random_ << 13U;
    random_ ^= random_ >> 7U;
    random_ ^= random_ << 17U;
    return random_;
  }

 private:
  std::uint64_t spread(std::uint64_t ms) { return ms + random() % (ms / 4); }

  std::uint64_t random_;
  std::uint64_t pause_ms_ = kLeastMs;
};

}  // namespace noctis
