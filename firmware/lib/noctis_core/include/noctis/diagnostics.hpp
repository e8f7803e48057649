// How the device and its link are, for the status.
#pragma once

#include <cstdint>
#include <optional>

#include "noctis/board.hpp"
#include "noctis/clock.hpp"
#include "noctis/json.hpp"
#include "noctis/spool.hpp"
#include "noctis/store.hpp"

namespace noctis {

class Diagnostics {
 public:
  Diagnostics(Store& store, const Board& board, const Spool& spool, const Clock& clock)
      : store_(store), board_(board), spool_(spool), clock_(clock) {}

  // Counts this boot.
  void begin();
  void on_state(bool up);
  // A message of QoS 1 was published; the broker has it.
  void sent(int id);
  void on_ack(int id);

  std::uint32_t boots() const { return boots_; }
  std::uint32_t reconnects() const { return connections_ > 0 ? connections_ - 1 : 0; }
  bool connected_before() const { return connections_ > 0; }
  // Since the last change of the connection.
  std::uint64_t since_ms() const { return clock_.monotonic_ms() - changed_ms_; }
  // From a message to the broker's PUBACK, smoothed; nothing before the first one.
  std::optional<std::uint32_t> puback_ms() const { return puback_ms_; }

  void write(JsonWriter& json) const;

 private:
  static constexpr int kNone = -1;

  Store& store_;
  const Board& board_;
  const Spool& spool_;
  const Clock& clock_;
  std::uint32_t boots_ = 0;
  std::uint32_t connections_ = 0;  // since boot
  std::uint64_t changed_ms_ = 0;
  int timed_ = kNone;  // the message whose PUBACK is waited for
  std::uint64_t sent_ms_ = 0;
  std::optional<std::uint32_t> puback_ms_;
};

}  // namespace noctis
