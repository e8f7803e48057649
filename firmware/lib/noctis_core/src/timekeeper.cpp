#include "noctis/timekeeper.hpp"

namespace noctis {
namespace {

constexpr std::uint64_t kGridTolerance = 500;    // ms
constexpr std::uint64_t kClockTolerance = 2000;  // ms

std::uint64_t distance(std::uint64_t a, std::uint64_t b) { return a > b ? a - b : b - a; }

std::uint32_t seconds(std::uint64_t ms) {
  return static_cast<std::uint32_t>((ms + 500) / 1000);
}

}  // namespace

std::uint64_t Timekeeper::expected_utc_ms(std::uint64_t start_ms) const {
  return anchor_utc_ms_ == 0 ? 0 : anchor_utc_ms_ + (start_ms - anchor_ms_);
}

std::optional<RunReason> Timekeeper::broken(std::uint64_t start_ms,
                                            std::uint64_t utc_ms) const {
  // Against the grid, not against the epoch before: small delays that add up must not shift it.
  if (distance(start_ms, anchor_ms_ + std::uint64_t{epochs_} * kEpochMs) > kGridTolerance) {
    return RunReason::grid;
  }
  if (utc_ms == 0) {
    return std::nullopt;
  }
  if (anchor_utc_ms_ == 0) {
    return RunReason::clock_learnt;
  }
  if (distance(utc_ms, expected_utc_ms(start_ms)) > kClockTolerance) {
    return RunReason::clock_step;
  }
  return std::nullopt;
}

EpochStamp Timekeeper::stamp(std::uint64_t start_ms, std::uint64_t utc_ms) {
  std::optional<RunReason> breaks;
  if (begun_) {
    breaks = broken(start_ms, utc_ms);
  }
  if (!begun_ || breaks) {
    // A clock that is lost again is carried on by the monotonic one.
    anchor_utc_ms_ = utc_ms != 0 ? utc_ms : expected_utc_ms(start_ms);
    anchor_ms_ = start_ms;
    epochs_ = 0;
    begun_ = true;
  }
  const std::uint32_t grid_s = epochs_ * (kEpochMs / 1000);
  ++epochs_;
  return {seconds(anchor_ms_) + grid_s,
          anchor_utc_ms_ == 0 ? 0 : seconds(anchor_utc_ms_) + grid_s, breaks};
}

}  // namespace noctis
