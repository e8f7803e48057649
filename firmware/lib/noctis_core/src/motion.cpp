#include "noctis/motion.hpp"

#include <cmath>
#include <limits>

namespace noctis {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kEpochSeconds = kEpochMs / 1000.0;
constexpr float kMaxG = 16.0F;
constexpr std::uint32_t kMaxGapMs = 200;     // a longer pause restarts the filter
constexpr std::uint32_t kStuckRepeats = 50;  // 1 s of one reading: a live sensor has noise
constexpr std::uint32_t kMinSamples = 25;    // of a second's 50
constexpr std::uint32_t kMinSeconds = 15;    // of an epoch's 30

// Mean rectified band-passed acceleration of a second, in g. An MPU6050 at rest reads 2 mg, so
// that 5 mg are movement; what exceeds them is counted, 100 counts for a g during a second.
constexpr float kFloorG = 0.005F;
constexpr float kCountsPerGS = 100.0F;

// How far a sensor's one g may be off (offset and scale errors reach 8 %), and how fast its
// estimate follows: a twentieth a still second, about 20 s.
constexpr float kMaxOffG = 0.15F;
constexpr float kFollow = 0.05F;

// Butterworth filters of order 2 at 50 Hz by the bilinear transform: above 1 Hz (breathing and
// the fall of gravity through the axes are slower), below 11 Hz (movement is not faster).
constexpr Biquad::Coefficients kAbove1Hz{0.914969144F, -1.82993829F, 0.914969144F, -1.82269493F,
                                         0.837181651F};
constexpr Biquad::Coefficients kBelow11Hz{0.239769659F, 0.479539318F, 0.239769659F,
                                          -0.221153438F, 0.180232074F};

float norm(const AccelSample& a) { return std::sqrt(a.x * a.x + a.y * a.y + a.z * a.z); }

double degrees_between(const AccelSample& a, const AccelSample& b) {
  // atan2 of cross and dot product: acos alone loses small angles to rounding.
  const AccelSample cross{a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x};
  const float dot = a.x * b.x + a.y * b.y + a.z * b.z;
  return static_cast<double>(std::atan2(norm(cross), dot)) * 57.29577951308232;
}

}  // namespace

void Motion::add(std::uint32_t now_ms, std::uint32_t elapsed_ms, const AccelSample& sample) {
  const float magnitude = norm(sample);
  if (!(magnitude <= kMaxG) || is_stuck(sample)) {
    return;
  }
  if (!filtering_ || now_ms - last_ms_ > kMaxGapMs) {
    restart_filter(sample);
  }
  last_ms_ = now_ms;
  const std::uint32_t index = elapsed_ms / 1000;
  if (index != index_) {
    close_second();
    index_ = index;
  }
  ++second_.samples;
  second_.rectified += band_pass(sample);
  second_.norm += magnitude;
  second_.enmo += magnitude > one_g_ ? magnitude - one_g_ : 0.0F;
  second_.sum.x += sample.x;
  second_.sum.y += sample.y;
  second_.sum.z += sample.z;
}

MotionSummary Motion::finish() {
  close_second();
  index_ = 0;
  MotionSummary summary{kNan, kNan, kNan, kNan, kNan};
  if (measured_ >= kMinSeconds) {
    const double seconds = measured_;
    summary.act_count = static_cast<double>(activity_) * kEpochSeconds / seconds;
    summary.enmo = static_cast<double>(enmo_) * 1000.0 / seconds;
    summary.move_frac = moving_ / seconds;
    summary.still_s = still_s_;
    summary.tilt_change = degrees_between(first_gravity_, last_gravity_);
  }
  measured_ = 0;
  moving_ = 0;
  activity_ = 0.0F;
  enmo_ = 0.0F;
  return summary;
}

bool Motion::is_stuck(const AccelSample& sample) {
  const bool same = sample.x == last_.x && sample.y == last_.y && sample.z == last_.z;
  repeats_ = same ? repeats_ + 1 : 0;
  last_ = sample;
  return repeats_ >= kStuckRepeats;
}

void Motion::restart_filter(const AccelSample& sample) {
  high_pass_ = {};
  low_pass_ = {};
  origin_ = sample;
  filtering_ = true;
}

float Motion::band_pass(const AccelSample& sample) {
  const float axes[3] = {sample.x - origin_.x, sample.y - origin_.y, sample.z - origin_.z};
  float square = 0.0F;
  for (std::size_t i = 0; i < 3; ++i) {
    const float above = high_pass_[i].step(kAbove1Hz, axes[i]);
    const float passed = low_pass_[i].step(kBelow11Hz, above);
    square += passed * passed;
  }
  return std::sqrt(square);
}

void Motion::close_second() {
  const Second second = second_;
  second_ = {};
  if (second.samples < kMinSamples) {
    return;
  }
  const auto samples = static_cast<float>(second.samples);
  const float excess = second.rectified / samples - kFloorG;
  last_gravity_ = {second.sum.x / samples, second.sum.y / samples, second.sum.z / samples};
  if (measured_ == 0) {
    first_gravity_ = last_gravity_;
  }
  ++measured_;
  enmo_ += second.enmo / samples;
  if (excess > 0.0F) {
    ++moving_;
    activity_ += excess * kCountsPerGS;
    still_s_ = 0.0;
    return;
  }
  still_s_ += 1.0;
  const float rest = second.norm / samples;
  if (!(std::fabs(rest - 1.0F) < kMaxOffG)) {
    return;
  }
  one_g_ = rested_ ? one_g_ + kFollow * (rest - one_g_) : rest;
  rested_ = true;
}

}  // namespace noctis
