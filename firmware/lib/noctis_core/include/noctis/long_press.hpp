// A button that is held.
#pragma once

#include <cstdint>

namespace noctis {

class LongPress {
 public:
  static constexpr std::uint64_t kHeldMs = 3000;

  // True once for each time that it is held for so long without a break.
  bool step(bool pressed, std::uint64_t now_ms) {
    if (!pressed) {
      state_ = State::up;
    } else if (state_ == State::up) {
      state_ = State::down;
      since_ms_ = now_ms;
    } else if (state_ == State::down && now_ms - since_ms_ >= kHeldMs) {
      state_ = State::told;
      return true;
    }
    return false;
  }

 private:
  enum class State : std::uint8_t { up, down, told };

  State state_ = State::up;
  std::uint64_t since_ms_ = 0;
};

}  // namespace noctis
