// The platform's commands: taken one at a time, and answered. A command that comes again is
// not done again while its answer is known; the platform repeats it until it has the answer.
#pragma once

#include <cstddef>
#include <cstdint>

#include "noctis/clock.hpp"
#include "noctis/command.hpp"
#include "noctis/resend.hpp"
#include "noctis/uplink.hpp"

namespace noctis {

class Commands {
 public:
  static constexpr std::size_t kAnswerSize = 192;
  static constexpr std::uint64_t kRetryMs = 1000;  // of an uplink that took no answer

  Commands(Spool& spool, Uplink& uplink, const Clock& clock)
      : uplink_(uplink), clock_(clock), resend_(spool) {}

  void on_state(bool up);
  // The broker has message `id`.
  void on_ack(int id);
  // A command. While another is being done it is passed over: it comes again.
  void on_message(const std::uint8_t* data, std::size_t size);
  // Ends a resend none of whose frames is in flight any more, and sends the answer.
  void poll(bool in_flight);
  std::uint64_t wake_ms() const;

  Resend& resend() { return resend_; }

 private:
  struct Answer {
    const char* refusal = nullptr;  // null: done
    Resend::Counts counts;
  };

  void answer(const char* refusal);
  void send_answer();
  std::size_t write_answer(char (&json)[kAnswerSize]) const;

  Uplink& uplink_;
  const Clock& clock_;
  Resend resend_;
  CommandId id_{};   // of the command that is being done, or was answered last
  Answer answer_{};  // the last one
  bool up_ = false;
  bool owed_ = false;         // the broker does not have the answer yet
  int message_ = -1;          // that carries it
  std::uint64_t due_ms_ = 0;  // not to be sent before
};

}  // namespace noctis
