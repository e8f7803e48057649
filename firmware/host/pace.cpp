#include "pace.hpp"

#include <algorithm>
#include <cmath>

namespace noctis::host {
namespace {

constexpr double kOfflineRate = 30;  // virtual seconds a second, once the grace is over
constexpr double kIdleRate = 60;     // of the timers while nothing is awaited

}  // namespace

void Pace::boot(std::uint64_t utc_ms) {
  boot_utc_ms_ = utc_ms;
  night_ms_ = protocol_ms_ = 0;
}

// Without a limit of speed a network that is down, or slower than the night, would let all of
// it go by as backlog; so the night waits, but not for ever.
double Pace::night_rate(const Traffic& traffic) const {
  const bool wait =
      settings_.network && std::isinf(settings_.speed) && (!traffic.up || traffic.window_full);
  if (!wait) {
    return settings_.speed;
  }
  return traffic.silent_s <= settings_.grace_s ? 0 : kOfflineRate;
}

// While answers come the timers run like on a real device: whoever is busy is not pressed.
double Pace::protocol_rate(const Traffic& traffic) const {
  if (traffic.up && !traffic.in_flight) {
    return std::min(settings_.speed, kIdleRate);
  }
  return std::min(settings_.speed, traffic.silent_s <= settings_.grace_s ? 1 : kOfflineRate);
}

void Pace::pass(double seconds, const Traffic& traffic, std::uint64_t night_due_ms) {
  last_night_rate_ = night_rate(traffic);
  last_protocol_rate_ = protocol_rate(traffic);
  night_ms_ = std::isinf(last_night_rate_)
                  ? std::max(night_ms_, static_cast<double>(night_due_ms))
                  : night_ms_ + 1000 * seconds * last_night_rate_;
  protocol_ms_ += 1000 * seconds * last_protocol_rate_;
}

double Pace::until_night(std::uint64_t night_ms) const {
  const double missing_s = (static_cast<double>(night_ms) - night_ms_) / 1000;
  if (missing_s <= 0) {
    return 0;
  }
  return last_night_rate_ > 0 ? missing_s / last_night_rate_ : settings_.grace_s;
}

double Pace::until_protocol(std::uint64_t protocol_ms) const {
  const double missing_s = (static_cast<double>(protocol_ms) - protocol_ms_) / 1000;
  return missing_s <= 0 ? 0 : missing_s / last_protocol_rate_;
}

}  // namespace noctis::host
