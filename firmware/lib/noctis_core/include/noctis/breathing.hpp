// Breath by breath features from the radar's breath phase.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "noctis/epoch.hpp"

namespace noctis {

// NaN where the waveform does not show it.
struct BreathingSummary {
  double rate_sd;       // breaths a minute, from breath to breath, at least 3 breaths
  double regularity;    // highest autocorrelation at a lag of 1.5 to 12 s, 0 to 1
  double amplitude_cv;  // of the breaths' peak to peak amplitudes, at least 3 breaths
};

// Takes the phase at any rhythm above 1 Hz, 8 or 5 Hz as radars say it, on a grid of 125 ms: a
// point between two phases at most 1 s apart lies on the line between them, others are unknown.
class Breathing {
 public:
  Breathing() { wave_.fill(kUnknown); }

  // A phase in rad, in the order of time; one that is older than the one before is left out.
  void add(std::uint32_t elapsed_ms, float phase);
  // Sums the epoch up and begins the next one, 30 s later.
  BreathingSummary finish();

 private:
  static constexpr std::int32_t kPointMs = 125;
  static constexpr std::size_t kPoints = kEpochMs / kPointMs;
  static constexpr float kUnknown = std::numeric_limits<float>::quiet_NaN();

  // Epochs ago, so that a phase of long ago is never taken for a neighbour.
  static constexpr std::int32_t kLongAgoMs = -2 * static_cast<std::int32_t>(kEpochMs);

  // Known points [begin, end) between unknown ones.
  struct Stretch {
    std::size_t begin;
    std::size_t end;
    double middle;  // point
    double mean;    // phase
  };

  [[nodiscard]] bool known(std::size_t point) const { return !std::isnan(wave_[point]); }
  [[nodiscard]] Stretch stretch_from(std::size_t point) const;
  double detrend();
  [[nodiscard]] double correlation(std::size_t lag) const;
  [[nodiscard]] double regularity() const;
  void breaths(double rms, BreathingSummary& summary) const;

  std::array<float, kPoints> wave_;
  std::int32_t last_ms_ = kLongAgoMs;  // of the newest phase, from the start of the epoch
  float last_phase_ = 0.0F;
};

}  // namespace noctis
