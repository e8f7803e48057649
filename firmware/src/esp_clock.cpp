#include "esp_clock.hpp"

#include <Arduino.h>
#include <esp_sntp.h>
#include <esp_timer.h>
#include <sys/time.h>

namespace noctis::esp {

std::uint64_t EspClock::monotonic_ms() const {
  return static_cast<std::uint64_t>(esp_timer_get_time()) / 1000;
}

void start_sntp() {
  configTime(0, 0, "pool.ntp.org", "time.google.com", "time.cloudflare.com");
}

void hear_sntp(WallClock& wall_clock) {
  // Says "completed" once for each answer.
  if (sntp_get_sync_status() != SNTP_SYNC_STATUS_COMPLETED) {
    return;
  }
  timeval now{};
  gettimeofday(&now, nullptr);
  const auto utc_ms = static_cast<std::int64_t>(now.tv_sec) * 1000 + now.tv_usec / 1000;
  if (utc_ms > 0) {
    wall_clock.learn(ClockSource::sntp, static_cast<std::uint64_t>(utc_ms));
  }
}

}  // namespace noctis::esp
