#include "noctis/courier.hpp"

#include <algorithm>
#include <cstdio>
#include <limits>

namespace noctis {
namespace {

// A platform that refuses one frame after another (a device it does not know yet) is not to be
// swept over at full speed every hour: behind so many refusals each next frame waits a second
// longer, up to half a minute.
constexpr std::uint32_t kFreeRefusals = 8;
constexpr std::uint32_t kMostPauseS = 30;

}  // namespace

std::size_t Courier::count(Kind kind) const {
  return static_cast<std::size_t>(
      std::count_if(messages_.begin(), messages_.end(),
                    [kind](const Message& message) { return message.kind == kind; }));
}

// A live epoch makes room after half a minute of silence, however long that lasts: others than
// the database may be listening. It is the repeats that get rarer.
std::uint64_t Courier::deadline(Kind kind) {
  return clock_.monotonic_ms() +
         (kind == Kind::live ? backoff_.least_ms() : backoff_.pause_ms());
}

// Publishes frame_ and remembers it; false if the uplink does not take it.
bool Courier::send(Kind kind) {
  const auto free =
      std::find_if(messages_.begin(), messages_.end(),
                   [](const Message& message) { return message.kind == Kind::none; });
  const Channel channel = kind == Kind::live ? Channel::epochs : Channel::backlog;
  const int id = uplink_.publish(channel, frame_.data(), frame_.size());
  if (id < 0) {
    backlog_due_ms_ = std::max(backlog_due_ms_, clock_.monotonic_ms() + kRetryMs);
    return false;
  }
  *free = {kind, id, frame_.stream(), frame_.first(), frame_.last(), deadline(kind)};
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
  refusals_ = 0;
  backlog_due_ms_ = 0;
  backoff_.reset();
  time_.on_state(up);
  if (up) {
    publish_status("online");
  }
}

void Courier::on_ack(int id) {
  for (Message& message : messages_) {
    if (message.kind != Kind::none && message.id == id) {
      message.deadline_ms = deadline(message.kind);
    }
  }
}

bool Courier::epoch_made(std::uint32_t seq) {
  return up_ && !live_window_full() && spool_.live_frame(seq, frame_) && send(Kind::live);
}

// The platform answers: speed up again.
void Courier::answered() {
  backoff_.reset();
  for (Message& message : messages_) {
    message.deadline_ms = std::min(message.deadline_ms, deadline(message.kind));
  }
}

bool Courier::overlaps(const Message& message, std::uint64_t stream,
                       const AckRange& range) const {
  return message.kind != Kind::none && message.stream == stream &&
         message.first < range.first + range.count && range.first <= message.last;
}

void Courier::take_done(std::uint64_t stream, const AckRange& range) {
  spool_.mark_done(stream, range.first, range.count);
  for (Message& message : messages_) {
    if (overlaps(message, stream, range) &&
        !spool_.next_backlog(message.first, message.last + 1, frame_)) {
      if (message.kind == Kind::backlog) {
        window_ = std::min(window_ + 1, kBacklogWindow);
        refusals_ = 0;
      }
      message.kind = Kind::none;
    }
  }
}

void Courier::take_refused(std::uint64_t stream, const AckRange& range) {
  for (Message& message : messages_) {
    if (!overlaps(message, stream, range)) {
      continue;
    }
    const std::uint64_t now_ms = clock_.monotonic_ms();
    if (message.kind == Kind::backlog && ++refusals_ > kFreeRefusals) {
      const std::uint32_t pause_s = std::min(refusals_ - kFreeRefusals, kMostPauseS);
      backlog_due_ms_ = now_ms + std::uint64_t{1000} * pause_s;
    }
    message.kind = Kind::none;
    if (retry_refused_ms_ == 0) {
      retry_refused_ms_ = now_ms + kRefusedMs;
    }
    if (message.first >= cursor_ && !spool_.next_backlog(cursor_, message.first, frame_)) {
      cursor_ = message.last + 1;  // refused live: the sweep need not ask again at once
    }
  }
}

void Courier::on_message(DownChannel channel, const std::uint8_t* data, std::size_t size) {
  switch (channel) {
    case DownChannel::ack:
      take_ack(data, size);
      break;
    case DownChannel::time:
      time_.on_reply(data, size);
  }
}

void Courier::take_ack(const std::uint8_t* data, std::size_t size) {
  const auto ack = Ack::parse(data, size);
  if (!ack) {
    return;
  }
  for (std::size_t i = 0; i < ack->ranges(); ++i) {
    const AckRange range = ack->range(i);
    switch (static_cast<AckCode>(range.code)) {
      case AckCode::stored:
      case AckCode::disposed:
        take_done(ack->stream(), range);
        break;
      case AckCode::refused:
      default:
        take_refused(ack->stream(), range);
    }
  }
  if (ack->ranges() > 0 && ack->stream() == spool_.stream()) {
    answered();
  }
}

void Courier::expire(std::uint64_t now_ms) {
  bool silent = false;
  for (Message& message : messages_) {
    if (message.kind != Kind::none && message.deadline_ms <= now_ms) {
      silent = silent || message.kind == Kind::backlog;
      window_ = 1;
      forget(message);
    }
  }
  if (!silent) {
    return;
  }
  // The rest of the window would meet the same silence: one frame goes on asking.
  for (Message& message : messages_) {
    if (message.kind == Kind::backlog) {
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

void Courier::send_backlog() {
  if (clock_.monotonic_ms() < backlog_due_ms_) {
    return;
  }
  backlog_due_ms_ = 0;
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

void Courier::send_status() {
  if (health_ != told_.health || wall_clock_.source() != told_.source) {
    status_due_ms_ = std::min(status_due_ms_, told_ms_ + kStatusPauseMs);
  }
  if (clock_.monotonic_ms() >= status_due_ms_) {
    publish_status("online");
  }
}

void Courier::poll() {
  expire(clock_.monotonic_ms());
  sweep_again();
  if (!up_) {
    return;
  }
  send_backlog();
  time_.poll();
  send_status();
}

std::uint64_t Courier::wake_ms() const {
  std::uint64_t wake = std::numeric_limits<std::uint64_t>::max();
  if (up_) {
    wake = std::min(status_due_ms_, time_.wake_ms());
  }
  for (const std::uint64_t due_ms : {retry_refused_ms_, backlog_due_ms_}) {
    wake = due_ms != 0 ? std::min(wake, due_ms) : wake;
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
      R"("overwritten":%lu,"damaged":%lu,"firmware":"%.*s","clock":"%s",)"
      R"("radar":"%s","radar_family":"%s","accelerometer":"%s","accelerometer_id":%u})",
      state, static_cast<unsigned long long>(spool_.stream()),
      static_cast<unsigned long>(spool_.oldest_seq()),
      static_cast<unsigned long>(spool_.next_seq()),
      static_cast<unsigned long>(spool_.backlog()),
      static_cast<unsigned long>(spool_.overwritten()),
      static_cast<unsigned long>(spool_.damaged()), static_cast<int>(kMostFirmware), firmware_,
      name_of(wall_clock_.source()), name_of(health_.radar), name_of(health_.family),
      name_of(health_.accel), static_cast<unsigned>(health_.accel_id));
  return static_cast<std::size_t>(std::clamp(size, 0, static_cast<int>(sizeof json) - 1));
}

void Courier::publish_status(const char* state) {
  char json[kStatusSize];
  const std::size_t size = status(state, json);
  const int id =
      uplink_.publish(Channel::status, reinterpret_cast<const std::uint8_t*>(json), size);
  told_ms_ = clock_.monotonic_ms();
  status_due_ms_ = told_ms_ + (id < 0 ? kStatusPauseMs : kStatusMs);
  if (id >= 0) {
    told_ = {health_, wall_clock_.source()};
  }
}

}  // namespace noctis
