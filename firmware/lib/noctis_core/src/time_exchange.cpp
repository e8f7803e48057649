#include "noctis/time_exchange.hpp"

#include <algorithm>
#include <limits>

#include "noctis/bytes.hpp"
#include "noctis/crc.hpp"

namespace noctis {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kSentOffset = 4;
constexpr std::size_t kUtcOffset = 12;
constexpr unsigned kTickBits = 40;  // of milliseconds: 34 years of uptime

}  // namespace

std::array<std::uint8_t, kTimeRequestSize> encode_time_request(std::uint64_t sent) {
  std::array<std::uint8_t, kTimeRequestSize> bytes{};
  bytes[0] = kVersion;
  put_u64(&bytes[kSentOffset], sent);
  put_u32(&bytes[kTimeRequestSize - 4], crc32(bytes.data(), kTimeRequestSize - 4));
  return bytes;
}

std::optional<TimeReply> parse_time_reply(const std::uint8_t* data, std::size_t size) {
  if (size != kTimeReplySize || data[0] != kVersion ||
      crc32(data, size - 4) != get_u32(data + size - 4)) {
    return std::nullopt;
  }
  return TimeReply{get_u64(data + kSentOffset), get_u64(data + kUtcOffset)};
}

void TimeExchange::on_state(bool up) {
  up_ = up;
  sent_.reset();
  backoff_.reset();
  // At once, but a connection that comes and goes asks no oftener than a steady one.
  due_ms_ = asked_ms_ == 0 ? 0 : asked_ms_ + Backoff::kLeastMs;
}

void TimeExchange::poll() {
  const std::uint64_t now_ms = clock_.monotonic_ms();
  if (!up_ || now_ms < due_ms_ || !wall_clock_.stale()) {
    return;
  }
  // The upper bits tell this boot's request from one that an earlier boot sent at the same
  // tick.
  sent_ = (backoff_.random() << kTickBits) | (now_ms & ((std::uint64_t{1} << kTickBits) - 1));
  const auto request = encode_time_request(*sent_);
  uplink_.publish(Channel::time, request.data(), request.size());
  asked_ms_ = now_ms;
  due_ms_ = now_ms + backoff_.pause_ms();
  backoff_.lengthen();
}

void TimeExchange::on_reply(const std::uint8_t* data, std::size_t size) {
  const auto reply = parse_time_reply(data, size);
  if (!reply || reply->sent != sent_) {
    return;
  }
  sent_.reset();
  const std::uint64_t trip_ms = clock_.monotonic_ms() - asked_ms_;
  if (trip_ms <= kMostTripMs &&
      wall_clock_.learn(ClockSource::platform, reply->utc_ms + trip_ms / 2)) {
    backoff_.reset();
  }
}

std::uint64_t TimeExchange::wake_ms() const {
  return up_ && wall_clock_.stale() ? due_ms_ : std::numeric_limits<std::uint64_t>::max();
}

}  // namespace noctis
