#include "noctis/courier.hpp"

#include <algorithm>
#include <limits>

#include "noctis/bits.hpp"

namespace noctis {
namespace {

// A platform that refuses one frame after another (a device it does not know yet) is not to be
// swept over at full speed every hour: behind so many refusals each next frame waits a second
// longer, up to half a minute.
constexpr std::uint32_t kFreeRefusals = 8;
constexpr std::uint32_t kMostPauseS = 30;

}  // namespace

std::size_t Courier::in_flight(Kind kind) const {
  return static_cast<std::size_t>(std::count_if(
      messages_.begin(), messages_.end(),
      [kind](const Message& message) { return message.kind == kind && message.in_flight(); }));
}

bool Courier::holds_resend() const {
  return std::any_of(messages_.begin(), messages_.end(),
                     [](const Message& message) { return message.kind == Kind::resend; });
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
  const int id = publish(kind);
  if (id < 0) {
    return false;
  }
  *free = {kind,
           id,
           frame_.stream(),
           frame_.first(),
           frame_.last(),
           low_bits(frame_.count()),
           deadline(kind)};
  return true;
}

int Courier::publish(Kind kind) {
  const Channel channel = kind == Kind::live ? Channel::epochs : Channel::backlog;
  const int id = uplink_.publish(channel, frame_.data(), frame_.size());
  if (id < 0) {
    backlog_due_ms_ = std::max(backlog_due_ms_, clock_.monotonic_ms() + kRetryMs);
  }
  diagnostics_.sent(id);
  return id;
}

// Not answered and no longer in flight. What is not done the sweep finds when it comes by
// again; what was sent again is known by its message alone.
void Courier::forget(Message& message) {
  if (message.kind == Kind::resend) {
    message.id = kUnsent;
    return;
  }
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

void Courier::begin(Spool::Mount mount) {
  diagnostics_.begin();
  log_.set_boot(diagnostics_.boots());
  configuration_.begin(spool_.owner());
  const bool erases = commands_.begin(mount);
  const ResetReason reason = board_.reset_reason();
  const bool wanted = reason == ResetReason::power_on || reason == ResetReason::software ||
                      reason == ResetReason::sleep;
  log_.write(wanted ? LogLevel::info : LogLevel::warning, "boot %lu of %s after %s%s",
             static_cast<unsigned long>(diagnostics_.boots()), firmware_, name_of(reason),
             erases ? ", an erase goes on" : "");
}

void Courier::on_state(bool up) {
  if (up != up_ && diagnostics_.connected_before()) {
    log_.write(LogLevel::info,
               up ? "connected, after %lu s without" : "disconnected after %lu s",
               static_cast<unsigned long>(diagnostics_.since_ms() / 1000));
  }
  up_ = up;
  forget_all();
  window_ = 1;
  refusals_ = 0;
  backlog_due_ms_ = 0;
  backoff_.reset();
  time_.on_state(up);
  log_.on_state(up);
  configuration_.on_state(up);
  diagnostics_.on_state(up);
  commands_.on_state(up);
  if (up) {
    publish_status("online");
  }
}

void Courier::on_ack(int id) {
  for (Message& message : messages_) {
    if (message.in_flight() && message.id == id) {
      message.deadline_ms = deadline(message.kind);
    }
  }
  log_.on_ack(id);
  configuration_.on_ack(id);
  diagnostics_.on_ack(id);
  commands_.on_ack(id);
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

// Of a message sent again: strikes out what the range answers; returns how many epochs.
std::uint32_t Courier::settle(Message& message, const AckRange& range) {
  const std::uint32_t first = std::max(message.first, range.first);
  const std::uint32_t last = std::min(message.last, range.first + range.count - 1);
  const std::uint64_t bits =
      message.awaited & (low_bits(last - first + 1) << (first - message.first));
  message.awaited &= ~bits;
  return count_bits(bits);
}

void Courier::take_done(std::uint64_t stream, const AckRange& range) {
  spool_.mark_done(stream, range.first, range.count);
  for (Message& message : messages_) {
    if (!overlaps(message, stream, range)) {
      continue;
    }
    if (message.kind == Kind::resend) {
      commands_.resend().stored(settle(message, range));
    }
    const bool awaited = message.kind == Kind::resend
                             ? message.awaited != 0
                             : spool_.next_backlog(message.first, message.last + 1, frame_);
    if (awaited) {
      continue;
    }
    if (message.kind != Kind::live) {
      window_ = std::min(window_ + 1, kBacklogWindow);
      refusals_ = 0;
    }
    message.kind = Kind::none;
  }
}

// A pause for a platform that refuses one frame after another.
void Courier::slow_down() {
  if (++refusals_ > kFreeRefusals) {
    const std::uint32_t pause_s = std::min(refusals_ - kFreeRefusals, kMostPauseS);
    backlog_due_ms_ = clock_.monotonic_ms() + std::uint64_t{1000} * pause_s;
  }
}

void Courier::take_refused(std::uint64_t stream, const AckRange& range) {
  for (Message& message : messages_) {
    if (!overlaps(message, stream, range)) {
      continue;
    }
    if (message.kind != Kind::live) {
      slow_down();
    }
    if (message.kind == Kind::resend) {
      commands_.resend().refused(settle(message, range));
      message.kind = message.awaited == 0 ? Kind::none : Kind::resend;
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

void Courier::on_message(DownChannel channel, const std::uint8_t* data, std::size_t size) {
  switch (channel) {
    case DownChannel::ack:
      take_ack(data, size);
      break;
    case DownChannel::time:
      time_.on_reply(data, size);
      break;
    case DownChannel::command:
      commands_.on_message(data, size);
      break;
    case DownChannel::config:
      configuration_.on_message(data, size);
      break;
    case DownChannel::ota:
      break;  // the Update's
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

void Courier::poll() {
  expire(clock_.monotonic_ms());
  sweep_again();
  if (up_) {
    send_backlog();
  }
  commands_.poll(holds_resend());
  tell_changes();
  if (!up_) {
    return;
  }
  configuration_.poll();
  time_.poll();
  send_status();
  log_.poll();
}

std::uint64_t Courier::wake_ms() const {
  std::uint64_t wake = std::numeric_limits<std::uint64_t>::max();
  if (up_) {
    wake = std::min({status_due_ms_, time_.wake_ms(), commands_.wake_ms(),
                     configuration_.wake_ms(), log_.wake_ms()});
  }
  if (commands_.erasing()) {
    wake = 0;
  }
  for (const std::uint64_t due_ms : {retry_refused_ms_, backlog_due_ms_}) {
    wake = due_ms != 0 ? std::min(wake, due_ms) : wake;
  }
  for (const Message& message : messages_) {
    if (message.in_flight()) {
      wake = std::min(wake, message.deadline_ms);
    }
  }
  return wake;
}

}  // namespace noctis
