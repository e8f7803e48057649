#include "small_device.hpp"

#include <algorithm>
#include <cstdio>

#include "noctis/bytes.hpp"
#include "noctis/crc.hpp"

namespace noctis::target {
namespace {

constexpr SpoolIdentity kIdentity{0x0E0E0E0EU, 0xC41BU, 0x1122334455667788U};
constexpr std::uint32_t kRound = 60;  // epochs
constexpr std::uint32_t kDown = 50;   // of a round, the connection is down from here on
constexpr std::uint32_t kLossEvery = 7;
constexpr std::uint32_t kTimeToldFrom = 20;  // epochs after boot
constexpr std::uint32_t kAsked = 30;         // of a round: some of it is asked for again
constexpr std::uint32_t kAskedEpochs = 25;
constexpr std::uint32_t kConfigured = 10;  // of a round: it gets another configuration
constexpr std::uint64_t kBootUtcMs = 1'700'000'000'000;

}  // namespace

int Platform::publish(Channel channel, const std::uint8_t* data, std::size_t size) {
  switch (channel) {
    case Channel::status:
      ++statuses;
      return next_id_++;
    case Channel::time:
      asked_time_ = size == kTimeRequestSize;
      std::copy_n(data + 4, asked_.size(), asked_.begin());
      return next_id_++;
    case Channel::result:
      ++results;
      return next_id_++;
    case Channel::config:
      ++configs;
      return next_id_++;
    case Channel::log:
      ++logs;
      return next_id_++;
    case Channel::ota:
      return next_id_++;
    case Channel::epochs:
      ++live;
      break;
    case Channel::backlog:
      ++backlog;
      break;
  }
  if (waiting_ == frames_.size()) {
    return -1;
  }
  Taken& taken = frames_[waiting_++];
  std::copy_n(data + 4, taken.stream_and_first.size(), taken.stream_and_first.begin());
  taken.count = data[3];
  return next_id_++;
}

bool Platform::tell_time(std::uint64_t utc_ms, TimeReplyBytes& reply) {
  if (!asked_time_) {
    return false;
  }
  asked_time_ = false;
  reply = {1};
  std::copy(asked_.begin(), asked_.end(), reply.begin() + 4);
  put_u64(&reply[12], utc_ms);
  put_u32(&reply[20], crc32(reply.data(), 20));
  return true;
}

bool Platform::acknowledge(std::array<std::uint8_t, kAckSize>& ack) {
  if (waiting_ == 0) {
    return false;
  }
  const Taken oldest = frames_[0];
  std::copy(frames_.begin() + 1, frames_.end(), frames_.begin());
  --waiting_;
  ack = {1, 1};
  std::copy(oldest.stream_and_first.begin(), oldest.stream_and_first.end(), ack.begin() + 2);
  ack[14] = oldest.count;
  put_u32(&ack[16], crc32(ack.data(), 16));
  return true;
}

SmallDevice::SmallDevice(RamNor& nor, std::uint32_t seed)
    : sleeper_(seed), spool_(nor, kIdentity) {
  courier_.begin(spool_.mount());
  builder_.begin(0);
}

Epoch SmallDevice::make() {
  sleeper_.begin_epoch(number_);
  const auto start_ms = static_cast<std::uint32_t>(clock_.now_ms);
  for (std::uint32_t at_ms = 0; at_ms < kEpochMs; at_ms += 5) {
    if (at_ms % Sleeper::kRadarPeriodMs == 0) {
      const RadarBytes bytes = sleeper_.radar();
      builder_.radar(start_ms + at_ms, bytes.bytes.data(), bytes.size);
    }
    Burst burst{};
    AccelSample sample{};
    if (at_ms % kAccelPeriodMs == 0 && sleeper_.accelerometer(at_ms, burst) &&
        decode_mpu6050_burst(burst.data(), burst.size(), sample)) {
      builder_.acceleration(start_ms + at_ms, sample);
    }
  }
  clock_.now_ms += kEpochMs;
  return builder_.finish(start_ms + kEpochMs);
}

// The platform wants some epochs again.
void SmallDevice::ask_again() {
  char json[160];
  const std::uint32_t last = spool_.next_seq() - 1;
  const std::uint32_t first = last - std::min(last, kAskedEpochs - 1);
  const int size = std::snprintf(
      json, sizeof json,
      R"({"id":"00000000-0000-4000-8000-%012lu","command":"resend",)"
      R"("stream":"%08lx%08lx","from":%lu,"to":%lu})",
      static_cast<unsigned long>(number_), static_cast<unsigned long>(spool_.stream() >> 32U),
      static_cast<unsigned long>(spool_.stream() & 0xFFFFFFFFU),
      static_cast<unsigned long>(first), static_cast<unsigned long>(last));
  courier_.on_message(DownChannel::command, reinterpret_cast<const std::uint8_t*>(json),
                      static_cast<std::size_t>(size));
}

// Another configuration, and a blinking light to see which device it is.
void SmallDevice::configure() {
  char json[160];
  int size = std::snprintf(
      json, sizeof json,
      R"({"version":%lu,"report_s":%lu,"led":%s,"log_level":"debug","later":1})",
      static_cast<unsigned long>(number_), static_cast<unsigned long>(300 + number_ % 7),
      number_ % 2 == 0 ? "true" : "false");
  courier_.on_message(DownChannel::config, reinterpret_cast<const std::uint8_t*>(json),
                      static_cast<std::size_t>(size));
  size = std::snprintf(
      json, sizeof json,
      R"({"id":"00000000-0000-4000-9000-%012lu","command":"identify","seconds":7})",
      static_cast<unsigned long>(number_));
  courier_.on_message(DownChannel::command, reinterpret_cast<const std::uint8_t*>(json),
                      static_cast<std::size_t>(size));
}

void SmallDevice::exchange() {
  if (number_ % kRound == kConfigured) {
    configure();
    courier_.poll();
  }
  if (number_ % kRound == kAsked) {
    ask_again();
    courier_.poll();
  }
  Platform::TimeReplyBytes reply{};
  if (number_ >= kTimeToldFrom && platform_.tell_time(kBootUtcMs + clock_.now_ms, reply)) {
    courier_.on_message(DownChannel::time, reply.data(), reply.size());
  }
  std::array<std::uint8_t, Platform::kAckSize> ack{};
  for (std::uint32_t message = 1; platform_.acknowledge(ack); ++message) {
    if ((number_ + message) % kLossEvery != 0) {
      courier_.on_message(DownChannel::ack, ack.data(), ack.size());
    }
    courier_.poll();
  }
}

void SmallDevice::live_one_epoch() {
  const std::uint32_t in_round = number_ % kRound;
  if (in_round == 0 || in_round == kDown) {
    platform_.forget();
    courier_.on_state(in_round == 0);
  }
  const std::uint64_t start_ms = clock_.now_ms;
  const Epoch epoch = make();
  courier_.set_health(builder_.health());
  const std::uint64_t start_utc_ms = wall_clock_.utc_at(start_ms);
  const auto seq = spool_.append(epoch, timekeeper_.stamp(start_ms, start_utc_ms));
  if (seq) {
    courier_.epoch_made(*seq);
  } else {
    ++refused_;
  }
  courier_.poll();
  exchange();
  ++number_;
}

}  // namespace noctis::target
