// A message that the broker is to have: sent as soon as it can be, and on the next connection
// again where this one did not confirm it.
#pragma once

#include <cstdint>
#include <limits>

namespace noctis {

class Owed {
 public:
  static constexpr std::uint64_t kRetryMs = 1000;  // of an uplink that did not take it

  void owe() {
    open_ = true;
    message_ = kNone;
    due_ms_ = 0;
  }
  void on_state(bool up) {
    up_ = up;
    message_ = kNone;
    due_ms_ = 0;
  }
  // The broker has message `id`.
  void on_ack(int id) { open_ = open_ && id != message_; }
  [[nodiscard]] bool due(std::uint64_t now_ms) const {
    return up_ && open_ && message_ < 0 && now_ms >= due_ms_;
  }
  // publish() returned that id.
  void sent(int id, std::uint64_t now_ms) {
    message_ = id;
    due_ms_ = id < 0 ? now_ms + kRetryMs : 0;
  }
  // The broker does not have it yet.
  [[nodiscard]] bool open() const { return open_; }
  [[nodiscard]] std::uint64_t wake_ms() const {
    return up_ && open_ && message_ < 0 ? due_ms_ : std::numeric_limits<std::uint64_t>::max();
  }

 private:
  static constexpr int kNone = -1;

  bool up_ = false;
  bool open_ = false;
  int message_ = kNone;  // that carries it on this connection
  std::uint64_t due_ms_ = 0;
};

}  // namespace noctis
