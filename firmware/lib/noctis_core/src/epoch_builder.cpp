#include "noctis/epoch_builder.hpp"

#include <limits>

#include "noctis/quantise.hpp"

namespace noctis {
namespace {

constexpr std::uint32_t kLastMs = kEpochMs - 1;
constexpr std::uint32_t kHoldMs = 5000;  // how long what was last said stands
constexpr std::uint32_t kPresenceStuckMs = 600000;
constexpr std::uint32_t kWaveStepMs = 200;
constexpr float kStill = 1.0F;  // movement of someone who only breathes
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

}  // namespace

void EpochBuilder::begin(std::uint32_t now_ms) {
  start_ms_ = now_ms;
  begun_ = true;
}

void EpochBuilder::radar(std::uint32_t now_ms, const std::uint8_t* bytes, std::size_t size) {
  RadarReading reading{};
  for (std::size_t i = 0; i < size; ++i) {
    radar_.push(now_ms, bytes[i]);
    while (radar_.next(reading)) {
      take(now_ms, reading);
    }
  }
}

std::optional<AccelSample> EpochBuilder::accelerometer(std::uint32_t now_ms, Mpu6050& chip) {
  AccelSample sample{};
  const bool sampled = chip.poll(now_ms, sample);
  if (sampled) {
    acceleration(now_ms, sample);
  }
  accel_ = chip.state();
  health_.accel_id = chip.id();
  return sampled ? std::optional(sample) : std::nullopt;
}

void EpochBuilder::acceleration(std::uint32_t now_ms, const AccelSample& sample) {
  accel_ = AccelState::ok;
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
  if (motion.move_frac > 0.0) {
    life_.mark(now_ms);
  }
  constexpr double all = SecondMask::kSeconds * SecondMask::kSeconds;
  const double good = present_.count() * heart_valid_.count() / all;
  set(quality, radar_heard_ || radar_.alive(now_ms) ? good : kNan);
  epoch.in_bed = 2 * present_.count() >= SecondMask::kSeconds;

  health_.family = radar_.family();
  health_.radar = radar_state(now_ms);
  health_.accel = accel_;

  heart_.clear();
  breath_rate_.clear();
  present_.clear();
  heart_valid_.clear();
  radar_heard_ = false;
  accel_ = AccelState::absent;
  begin(now_ms);
  return epoch;
}

// A presence stands for the seconds in which the radar says anything, for at most 5 s.
void EpochBuilder::take(std::uint32_t now_ms, const RadarReading& reading) {
  using Kind = RadarReading::Kind;
  radar_heard_ = true;
  switch (reading.kind) {
    case Kind::presence:
      presence(now_ms, reading.values[0] > 0.0F);
      break;
    case Kind::movement:
      movement(now_ms, reading.values[0]);
      break;
    case Kind::heart_rate:
      heart_rate(now_ms, reading.values[0]);
      break;
    case Kind::breath_rate:
      breath_rate(now_ms, reading.values[0]);
      break;
    case Kind::phases:
      phases(now_ms, reading.values);
      break;
    case Kind::breath_wave:
      breath_wave(now_ms, reading.values);
      break;
    case Kind::distance:
      break;
  }
  present_.set(elapsed(now_ms), someone_.within(now_ms, kHoldMs) && !presence_stuck(now_ms));
}

void EpochBuilder::presence(std::uint32_t now_ms, bool present) {
  if (!present) {
    someone_.clear();
    return;
  }
  if (!someone_.within(now_ms, kHoldMs)) {
    life_.mark(now_ms);
  }
  someone_.mark(now_ms);
}

// Movement comes every second, a heart rate from the same radar only every 3 s: it stands for
// the seconds between.
void EpochBuilder::movement(std::uint32_t now_ms, float amount) {
  presence(now_ms, amount > 0.0F);
  if (amount > kStill) {
    life_.mark(now_ms);
  }
  if (heart_beats_.within(now_ms, kHoldMs)) {
    heart_valid_.set(elapsed(now_ms), true);
  }
}

void EpochBuilder::heart_rate(std::uint32_t now_ms, float bpm) {
  heart_beats_.clear();
  if (believable(now_ms, bpm, heart_freeze_)) {
    heart_.add(elapsed(now_ms), bpm);
    heart_valid_.set(elapsed(now_ms), true);
    heart_beats_.mark(now_ms);
  }
}

void EpochBuilder::breath_rate(std::uint32_t now_ms, float rate) {
  if (believable(now_ms, rate, breath_freeze_)) {
    breath_rate_.add(elapsed(now_ms), rate);
  }
}

void EpochBuilder::phases(std::uint32_t now_ms, const Values& values) {
  if (wave_moves(now_ms, values)) {
    breathing_.add(elapsed(now_ms), values[1]);
  }
}

void EpochBuilder::breath_wave(std::uint32_t now_ms, const Values& values) {
  if (!wave_moves(now_ms, values)) {
    return;
  }
  const std::uint32_t newest = elapsed(now_ms);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto back = static_cast<std::uint32_t>(values.size() - 1 - i) * kWaveStepMs;
    if (back <= newest) {  // else of the epoch before
      breathing_.add(newest - back, values[i]);
    }
  }
}

// A wave moves with every breath and beat: while it stands still the radar hangs, and what it
// repeats is worth nothing. A wave of zeros says that there is none.
bool EpochBuilder::wave_moves(std::uint32_t now_ms, const Values& values) {
  const bool repeats = wave_freeze_.frozen(now_ms, values);
  if (values == Values{}) {
    wave_stuck_.clear();
    return true;
  }
  if (repeats) {
    wave_stuck_.mark(now_ms);
    return false;
  }
  wave_stuck_.clear();
  wave_moved_.mark(now_ms);
  return true;
}

// Whether there is a rate, and the radar does not just repeat itself. The `53 59` family says
// whole numbers, and clamps the heart rate: they may repeat, as long as its wave shows that it
// lives.
bool EpochBuilder::believable(std::uint32_t now_ms, float rate, RateFreeze& freeze) {
  const bool repeats = freeze.frozen(now_ms, rate);
  if (rate <= 0.0F || wave_stuck_.within(now_ms, kHoldMs)) {
    return false;
  }
  const bool lives =
      radar_.family() == RadarFamily::r60abd1 && wave_moved_.within(now_ms, kWaveFreezeMs);
  if (repeats && !lives) {
    rate_stuck_.mark(now_ms);
    return false;
  }
  life_.mark(now_ms);
  return true;
}

bool EpochBuilder::presence_stuck(std::uint32_t now_ms) const {
  return !life_.within(now_ms, kPresenceStuckMs);
}

RadarState EpochBuilder::radar_state(std::uint32_t now_ms) const {
  if (!radar_.alive(now_ms)) {
    return RadarState::silent;
  }
  if (wave_stuck_.within(now_ms, kHoldMs) || rate_stuck_.within(now_ms, kHoldMs)) {
    return RadarState::frozen;
  }
  const bool someone = someone_.within(now_ms, kHoldMs);
  return someone && presence_stuck(now_ms) ? RadarState::presence_stuck : RadarState::ok;
}

std::uint32_t EpochBuilder::elapsed(std::uint32_t now_ms) {
  if (!begun_) {
    begin(now_ms);
  }
  const std::uint32_t since = now_ms - start_ms_;
  return since < kLastMs ? since : kLastMs;
}

}  // namespace noctis
