#include "pace.hpp"

#include <algorithm>
#include <cmath>

namespace noctis::host {
namespace {

constexpr double kGraceS = 5;       // the night waits so long for the network, then goes on
constexpr double kHeldRate = 30;    // virtual seconds a second, then
constexpr double kAnswerRate = 10;  // likewise of the timers while an answer is awaited
constexpr double kIdleRate = 60;    // and while none is

}  // namespace

double Pace::night_rate(const Traffic& traffic, double seconds) {
  const bool held =
      settings_.network && settings_.speed > 1 && (!traffic.up || traffic.window_full);
  held_s_ = held ? held_s_ + seconds : 0;
  if (!held) {
    return settings_.speed;
  }
  return held_s_ <= kGraceS ? 0 : std::min(settings_.speed, kHeldRate);
}

double Pace::protocol_rate(const Traffic& traffic) const {
  const bool waiting = traffic.in_flight || !traffic.up;
  return std::min(settings_.speed, waiting ? kAnswerRate : kIdleRate);
}

void Pace::pass(double seconds, const Traffic& traffic, std::uint64_t night_due_ms) {
  last_night_rate_ = night_rate(traffic, seconds);
  last_protocol_rate_ = protocol_rate(traffic);
  night_ms_ = std::isinf(last_night_rate_)
                  ? std::max(night_ms_, static_cast<double>(night_due_ms))
                  : night_ms_ + 1000 * seconds * last_night_rate_;
  protocol_ms_ += 1000 * seconds * last_protocol_rate_;
}

std::uint64_t Pace::utc_at(std::uint64_t night_ms) const {
  if (static_cast<double>(night_ms) < 1000 * settings_.clock_after_s) {
    return 0;
  }
  return static_cast<std::uint64_t>(1000 * settings_.utc_at_boot_s) + night_ms;
}

double Pace::until_night(std::uint64_t night_ms) const {
  const double missing_s = (static_cast<double>(night_ms) - night_ms_) / 1000;
  if (missing_s <= 0) {
    return 0;
  }
  return last_night_rate_ > 0 ? missing_s / last_night_rate_ : kGraceS;
}

double Pace::until_protocol(std::uint64_t protocol_ms) const {
  const double missing_s = (static_cast<double>(protocol_ms) - protocol_ms_) / 1000;
  return missing_s <= 0 ? 0 : missing_s / last_protocol_rate_;
}

}  // namespace noctis::host
