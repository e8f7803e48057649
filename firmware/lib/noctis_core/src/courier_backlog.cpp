// What goes out on the backlog, and when: what is not done, and what was asked for again.
#include <algorithm>

#include "noctis/bits.hpp"
#include "noctis/courier.hpp"

namespace noctis {

void Courier::expire(std::uint64_t now_ms) {
  bool silent = false;
  for (Message& message : messages_) {
    if (message.in_flight() && message.deadline_ms <= now_ms) {
      silent = silent || message.kind != Kind::live;
      window_ = 1;
      forget(message);
    }
  }
  if (!silent) {
    return;
  }
  // The rest of the window would meet the same silence: one frame goes on asking.
  for (Message& message : messages_) {
    if (message.in_flight() && message.kind != Kind::live) {
      forget(message);
    }
  }
  backoff_.lengthen();
}

// The sweep stays behind what is in flight live.
std::uint32_t Courier::sweep_limit() const {
  std::uint32_t limit = spool_.next_seq();
  for (const Message& message : messages_) {
    if (message.kind == Kind::live) {
      limit = std::min(limit, message.first);
    }
  }
  return limit;
}

// What is not done and what was asked for again take turns, frame by frame, in one window:
// neither can starve the other.
void Courier::send_backlog() {
  if (clock_.monotonic_ms() < backlog_due_ms_) {
    return;
  }
  backlog_due_ms_ = 0;
  while (repeats_in_flight() < window_) {
    const bool sent =
        resend_next_ ? send_resend() || send_undone() : send_undone() || send_resend();
    if (!sent) {
      return;
    }
  }
}

bool Courier::send_undone() {
  const std::uint32_t limit = sweep_limit();
  if (cursor_ >= limit) {
    return false;
  }
  if (!spool_.next_backlog(cursor_, limit, frame_)) {
    cursor_ = limit;
    return false;
  }
  if (!send(Kind::backlog)) {
    return false;
  }
  cursor_ = frame_.last() + 1;
  resend_next_ = true;
  return true;
}

// First what got no answer.
bool Courier::send_resend() {
  for (Message& message : messages_) {
    if (message.kind == Kind::resend && !message.in_flight() && reread(message)) {
      message.id = publish(Kind::resend);
      message.deadline_ms = deadline(Kind::resend);
      resend_next_ = false;
      return message.in_flight();
    }
  }
  Resend& resend = commands_.resend();
  if (!resend.active() || !resend.next(sweep_limit(), frame_) || !send(Kind::resend)) {
    return false;
  }
  resend.sent(frame_);
  resend_next_ = false;
  return true;
}

// Lets go of a message that the spool no longer holds as it was.
bool Courier::reread(Message& message) {
  const bool there = spool_.next_of(message.stream, message.first, message.last + 1, frame_);
  if (there && frame_.first() == message.first && frame_.last() == message.last) {
    return true;
  }
  message.kind = Kind::none;
  if (there) {
    commands_.resend().lost(message.first);  // a slot has rotted: the others come again
  } else {
    commands_.resend().overwritten(count_bits(message.awaited));
  }
  return false;
}

// Once an hour for what was refused, but never before the sweep is through: else one that takes
// hours would not get any further.
void Courier::sweep_again() {
  const std::uint64_t now_ms = clock_.monotonic_ms();
  if (retry_refused_ms_ == 0 || now_ms < retry_refused_ms_) {
    return;
  }
  if (cursor_ < sweep_limit()) {
    retry_refused_ms_ = now_ms + kRefusedMs;
  } else {
    retry_refused_ms_ = 0;
    cursor_ = std::min(cursor_, spool_.first_seq());
  }
}

}  // namespace noctis
