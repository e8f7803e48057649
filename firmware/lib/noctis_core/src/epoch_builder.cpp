#include "noctis/epoch_builder.hpp"

#include <limits>

#include "noctis/quantise.hpp"

namespace noctis {
namespace {

constexpr std::uint32_t kLastMs = kEpochMs - 1;
constexpr std::uint32_t kHoldMs = 5000;  // how long what was last said stands
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

}  // namespace

void EpochBuilder::begin(std::uint32_t now_ms) {
  start_ms_ = now_ms;
  begun_ = true;
}

void EpochBuilder::radar(std::uint32_t now_ms, const std::uint8_t* bytes, std::size_t size) {
  RadarReading reading{};
  for (std::size_t i = 0; i < size; ++i) {
    parser_.push(bytes[i]);
    while (parser_.next(reading)) {
      take(now_ms, reading);
    }
  }
}

void EpochBuilder::acceleration(std::uint32_t now_ms, const AccelSample& sample) {
  motion_.add(now_ms, elapsed(now_ms), sample);
}

Epoch EpochBuilder::finish(std::uint32_t now_ms) {
  Epoch epoch{};
  const auto set = [&epoch](Feature feature, double value) {
    epoch.codes[feature] = quantise(feature, value);
  };
  const SlotSummary heart = heart_.summary();
  set(hr_mean, heart.mean);
  set(hr_sd, heart.sd);
  set(hr_slope, heart.slope_per_min);
  set(hr_rmssd, heart.rmssd);
  set(hr_range, heart.range);
  const BreathingSummary breathing = breathing_.finish();
  set(rr_mean, breath_rate_.summary().mean);
  set(rr_sd, breathing.rate_sd);
  set(rr_regularity, breathing.regularity);
  set(resp_amp_cv, breathing.amplitude_cv);
  const MotionSummary motion = motion_.finish();
  set(act_count, motion.act_count);
  set(enmo, motion.enmo);
  set(move_frac, motion.move_frac);
  set(still_s, motion.still_s);
  set(tilt_change, motion.tilt_change);
  constexpr double all = SecondMask::kSeconds * SecondMask::kSeconds;
  const double good = present_.count() * heart_valid_.count() / all;
  set(quality, radar_heard_ ? good : kNan);
  epoch.in_bed = 2 * present_.count() >= SecondMask::kSeconds;

  heart_.clear();
  breath_rate_.clear();
  present_.clear();
  heart_valid_.clear();
  radar_heard_ = false;
  begin(now_ms);
  return epoch;
}

// A presence stands for the seconds in which the radar says anything, for at most 5 s.
void EpochBuilder::take(std::uint32_t now_ms, const RadarReading& reading) {
  radar_heard_ = true;
  switch (reading.kind) {
    case RadarReading::Kind::presence:
      presence_ = reading.values[0] > 0.0F;
      presence_ms_ = now_ms;
      break;
    case RadarReading::Kind::heart_rate:
      heart_rate(now_ms, reading.values[0]);
      break;
    case RadarReading::Kind::breath_rate:
      breath_rate(now_ms, reading.values[0]);
      break;
    case RadarReading::Kind::phases:
      phases(now_ms, reading.values[1]);
      break;
    case RadarReading::Kind::distance:
      break;
  }
  const bool fresh = now_ms - presence_ms_ <= kHoldMs;
  present_.set(elapsed(now_ms), presence_ && fresh);
}

void EpochBuilder::heart_rate(std::uint32_t now_ms, float bpm) {
  const bool frozen = heart_freeze_.frozen(now_ms, bpm);
  if (bpm <= 0.0F || frozen || radar_hangs(now_ms)) {
    return;
  }
  heart_.add(elapsed(now_ms), bpm);
  heart_valid_.set(elapsed(now_ms), true);
}

void EpochBuilder::breath_rate(std::uint32_t now_ms, float rate) {
  const bool frozen = breath_freeze_.frozen(now_ms, rate);
  if (rate <= 0.0F || frozen || radar_hangs(now_ms)) {
    return;
  }
  breath_rate_.add(elapsed(now_ms), rate);
}

// A phase moves with every breath and beat: while it stands still the radar hangs, and what it
// repeats is worth nothing.
void EpochBuilder::phases(std::uint32_t now_ms, float breath) {
  phases_frozen_ = phase_freeze_.frozen(now_ms, breath);
  phases_ms_ = now_ms;
  if (!phases_frozen_) {
    breathing_.add(elapsed(now_ms), breath);
  }
}

bool EpochBuilder::radar_hangs(std::uint32_t now_ms) const {
  return phases_frozen_ && now_ms - phases_ms_ <= kHoldMs;
}

std::uint32_t EpochBuilder::elapsed(std::uint32_t now_ms) {
  if (!begun_) {
    begin(now_ms);
  }
  const std::uint32_t since = now_ms - start_ms_;
  return since < kLastMs ? since : kLastMs;
}

}  // namespace noctis
