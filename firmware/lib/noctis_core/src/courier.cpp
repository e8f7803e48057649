#include "noctis/courier.hpp"

#include <algorithm>
#include <cstdio>
#include <limits>

namespace noctis {

std::size_t Courier::count(Kind kind) const {
  return static_cast<std::size_t>(
      std::count_if(messages_.begin(), messages_.end(),
                    [kind](const Message& message) { return message.kind == kind; }));
}

// Up to a quarter late, so that devices that fell silent together do not come back together.
std::uint64_t Courier::deadline() {
  random_ ^= random_ << 13U;
  random_ ^= random_ >> 7U;
  random_ ^= random_ << 17U;
  return clock_.monotonic_ms() + patience_ms_ + random_ % (patience_ms_ / 4);
}

// Publishes frame_ and remembers it; false if the uplink does not take it.
bool Courier::send(Kind kind) {
  const auto free =
      std::find_if(messages_.begin(), messages_.end(),
                   [](const Message& message) { return message.kind == Kind::none; });
  const Channel channel = kind == Kind::live ? Channel::epochs : Channel::backlog;
  const int id = uplink_.publish(channel, frame_.data(), frame_.size());
  if (id < 0) {
    return false;
  }
  *free = {kind, id, frame_.first(), frame_.last(), deadline()};
  return true;
}

// Not done and no longer in flight: the sweep has to come by again.
void Courier::forget(Message& message) {
  cursor_ = std::min(cursor_, message.first);
  message.kind = Kind::none;
}

void Courier::forget_all() {
  for (Message& message : messages_) {
    if (message.kind != Kind::none) {
      forget(message);
    }
  }
}

void Courier::on_state(bool up) {
  up_ = up;
  forget_all();
  window_ = 1;
  patience_ms_ = kPatienceMs;
  if (up) {
    publish_status("online");
  }
}

void Courier::on_ack(int id) {
  for (Message& message : messages_) {
    if (message.kind != Kind::none && message.id == id) {
      message.deadline_ms = deadline();
    }
  }
}

bool Courier::epoch_made(std::uint32_t seq) {
  return up_ && !live_window_full() && spool_.live_frame(seq, frame_) && send(Kind::live);
}

// The platform answers: speed up again.
void Courier::answered() {
  patience_ms_ = kPatienceMs;
  for (Message& message : messages_) {
    message.deadline_ms = std::min(message.deadline_ms, deadline());
  }
}

bool Courier::overlaps(const Message& message, const AckRange& range) const {
  return message.kind != Kind::none && message.first < range.first + range.count &&
         range.first <= message.last;
}

void Courier::take_done(const Ack& ack, const AckRange& range) {
  spool_.mark_done(ack.stream(), range.first, range.count);
  for (Message& message : messages_) {
    if (overlaps(message, range) &&
        !spool_.next_backlog(message.first, message.last + 1, frame_)) {
      if (message.kind == Kind::backlog) {
        window_ = std::min(window_ + 1, kBacklogWindow);
      }
      message.kind = Kind::none;
    }
  }
}

void Courier::take_refused(const AckRange& range) {
  for (Message& message : messages_) {
    if (!overlaps(message, range)) {
      continue;
    }
    message.kind = Kind::none;
    if (retry_refused_ms_ == 0) {
      retry_refused_ms_ = clock_.monotonic_ms() + kRefusedMs;
    }
    if (message.first >= cursor_ && !spool_.next_backlog(cursor_, message.first, frame_)) {
      cursor_ = message.last + 1;  // refused live: the sweep need not ask again at once
    }
  }
}

void Courier::on_down_ack(const std::uint8_t* data, std::size_t size) {
  const auto ack = Ack::parse(data, size);
  if (!ack) {
    return;
  }
  for (std::size_t i = 0; i < ack->ranges(); ++i) {
    const AckRange range = ack->range(i);
    switch (static_cast<AckCode>(range.code)) {
      case AckCode::stored:
      case AckCode::disposed:
        take_done(*ack, range);
        break;
      case AckCode::refused:
      default:
        take_refused(range);
    }
  }
  if (ack->ranges() > 0) {
    answered();
  }
}

void Courier::expire(std::uint64_t now_ms) {
  for (Message& message : messages_) {
    if (message.kind == Kind::none || message.deadline_ms > now_ms) {
      continue;
    }
    if (message.kind == Kind::backlog) {
      patience_ms_ = std::min(2 * patience_ms_, kMostPatienceMs);
    }
    window_ = 1;
    forget(message);
  }
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

void Courier::send_backlog() {
  const std::uint32_t limit = sweep_limit();
  while (cursor_ < limit && count(Kind::backlog) < window_) {
    if (!spool_.next_backlog(cursor_, limit, frame_)) {
      cursor_ = limit;
      return;
    }
    if (!send(Kind::backlog)) {
      return;
    }
    cursor_ = frame_.last() + 1;
  }
}

void Courier::poll() {
  const std::uint64_t now_ms = clock_.monotonic_ms();
  expire(now_ms);
  if (retry_refused_ms_ != 0 && now_ms >= retry_refused_ms_) {
    retry_refused_ms_ = 0;
    cursor_ = std::min(cursor_, spool_.first_seq());
  }
  if (!up_) {
    return;
  }
  send_backlog();
  if (now_ms >= status_due_ms_) {
    publish_status("online");
  }
}

std::uint64_t Courier::wake_ms() const {
  std::uint64_t wake = up_ ? status_due_ms_ : std::numeric_limits<std::uint64_t>::max();
  if (retry_refused_ms_ != 0) {
    wake = std::min(wake, retry_refused_ms_);
  }
  for (const Message& message : messages_) {
    if (message.kind != Kind::none) {
      wake = std::min(wake, message.deadline_ms);
    }
  }
  return wake;
}

std::size_t Courier::status(const char* state, char (&json)[kStatusSize]) const {
  const int size = std::snprintf(
      json, sizeof json,
      R"({"state":"%s","stream":"%016llx","oldest_seq":%lu,"next_seq":%lu,"backlog":%lu,)"
      R"("firmware":"%s","clock":"%s"})",
      state, static_cast<unsigned long long>(spool_.stream()),
      static_cast<unsigned long>(spool_.oldest_seq()),
      static_cast<unsigned long>(spool_.next_seq()),
      static_cast<unsigned long>(spool_.backlog()), firmware_,
      clock_.utc_ms() != 0 ? "known" : "unknown");
  return static_cast<std::size_t>(std::clamp(size, 0, static_cast<int>(sizeof json) - 1));
}

void Courier::publish_status(const char* state) {
  char json[kStatusSize];
  const std::size_t size = status(state, json);
  uplink_.publish(Channel::status, reinterpret_cast<const std::uint8_t*>(json), size);
  status_due_ms_ = clock_.monotonic_ms() + kStatusMs;
}

}  // namespace noctis
