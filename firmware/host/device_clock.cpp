#include "device_clock.hpp"

#include <chrono>

#include "noctis/bytes.hpp"
#include "noctis/crc.hpp"
#include "noctis/time_exchange.hpp"

namespace noctis::host {
namespace {

// When this firmware was built, as far as the clock is concerned: nights of the past are
// played.
constexpr std::uint32_t kBuiltS = 1'577'836'800;  // 2020
constexpr std::uint64_t kEveryMs = 3'600'000;
constexpr std::uint64_t kEveryFaultyMs = 600'000;
constexpr double kYearS = 365.25 * 86400;

std::int64_t wall_ms() {
  using Milliseconds = std::chrono::milliseconds;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<Milliseconds>(now).count();
}

}  // namespace

DeviceClock::DeviceClock(const Pace& pace, const Settings& settings)
    : pace_(pace),
      night_(pace),
      wall_(night_, kBuiltS),
      wall_time_(settings.wall_time),
      sntp_due_ms_(static_cast<std::uint64_t>(1000 * settings.sntp_after_s)) {
  if (settings.fault_seed) {
    random_.emplace(*settings.fault_seed);
  }
}

// Minutes to hours in which SNTP is right, silent, or wrong by seconds, hours or years.
void DeviceClock::next_phase(Random& random) {
  phase_end_ms_ = pace_.night_ms() + static_cast<std::uint64_t>(random.uniform(3e5, 72e5));
  const double kind = random.uniform();
  const double sign = random.chance(0.5) ? 1 : -1;
  answers_ = kind >= 0.3;
  cut_off_ = kind < 0.2;
  error_s_ = 0;
  if (kind > 0.9) {
    error_s_ = sign * kYearS * random.uniform(1, 30);
  } else if (kind > 0.8) {
    error_s_ = sign * random.uniform(600, 40000);
  } else if (kind > 0.7) {
    error_s_ = sign * random.uniform(3, 60);
  }
}

void DeviceClock::step() {
  const std::uint64_t now_ms = pace_.night_ms();
  if (random_ && now_ms >= phase_end_ms_) {
    next_phase(*random_);
    sntp_due_ms_ = now_ms;
  }
  if (now_ms < sntp_due_ms_) {
    return;
  }
  sntp_due_ms_ = now_ms + (random_ ? kEveryFaultyMs : kEveryMs);
  if (answers_) {
    const auto utc_ms = static_cast<double>(pace_.utc_at(now_ms)) + 1000 * error_s_;
    wall_.learn(ClockSource::sntp, static_cast<std::uint64_t>(utc_ms));
  }
}

std::vector<std::uint8_t> DeviceClock::hear(const std::uint8_t* data, std::size_t size) const {
  std::vector<std::uint8_t> bytes(data, data + size);
  const auto reply = parse_time_reply(data, size);
  if (cut_off_) {
    return {};
  }
  if (!reply || wall_time_) {
    return bytes;
  }
  const auto apart_ms = static_cast<std::int64_t>(pace_.utc_at(pace_.night_ms())) - wall_ms();
  put_u64(&bytes[12], reply->utc_ms + static_cast<std::uint64_t>(apart_ms));
  put_u32(&bytes[20], crc32(bytes.data(), 20));
  return bytes;
}

}  // namespace noctis::host
