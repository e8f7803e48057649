// Motion features of an epoch from 50 Hz acceleration.
#pragma once

#include <array>
#include <cstdint>

#include "noctis/epoch.hpp"
#include "noctis/mpu6050.hpp"

namespace noctis {

// NaN where fewer than 15 of the epoch's seconds were measured.
struct MotionSummary {
  double act_count;    // counts
  double enmo;         // mg
  double move_frac;    // 0 to 1
  double still_s;      // s
  double tilt_change;  // degrees
};

// Second-order section (direct form II transposed).
class Biquad {
 public:
  struct Coefficients {
    float b0, b1, b2, a1, a2;
  };

  float step(const Coefficients& c, float input) {
    const float output = c.b0 * input + first_;
    first_ = c.b1 * input - c.a1 * output + second_;
    second_ = c.b2 * input - c.a2 * output;
    return output;
  }

 private:
  float first_ = 0.0F;
  float second_ = 0.0F;
};

class Motion {
 public:
  void add(std::uint32_t now_ms, std::uint32_t elapsed_ms, const AccelSample& sample);
  // Sums the epoch up and begins the next one.
  MotionSummary finish();

 private:
  // Sums over the samples of a second.
  struct Second {
    std::uint32_t samples;
    float rectified;
    float norm;
    float enmo;
    AccelSample sum;
  };

  bool is_stuck(const AccelSample& sample);
  void restart_filter(const AccelSample& sample);
  float band_pass(const AccelSample& sample);
  void close_second();

  std::array<Biquad, 3> high_pass_{};
  std::array<Biquad, 3> low_pass_{};
  AccelSample origin_{};  // taken off before the filter, so that a start does not ring
  AccelSample last_{};
  std::uint32_t repeats_ = 0;
  std::uint32_t last_ms_ = 0;
  bool filtering_ = false;

  Second second_{};
  std::uint32_t index_ = 0;  // of second_ within the epoch

  std::uint32_t measured_ = 0;  // seconds of this epoch
  std::uint32_t moving_ = 0;
  float activity_ = 0.0F;
  float enmo_ = 0.0F;
  AccelSample first_gravity_{};
  AccelSample last_gravity_{};

  float one_g_ = 1.0F;  // what this sensor reads at rest
  bool rested_ = false;
  double still_s_ = 0.0;  // carried from epoch to epoch
};

}  // namespace noctis
