// Breath by breath features from the radar's breath phase.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "noctis/epoch.hpp"

namespace noctis {

// NaN where the waveform does not show it.
struct BreathingSummary {
  double rate_sd;       // breaths a minute, from breath to breath, at least 3 breaths
  double regularity;    // highest autocorrelation at a lag of 1.5 to 12 s, 0 to 1
  double amplitude_cv;  // of the breaths' peak to peak amplitudes, at least 3 breaths
};

class Breathing {
 public:
  void add(std::uint32_t elapsed_ms, float phase);
  // Sums the epoch up and begins the next one.
  BreathingSummary finish();

 private:
  static constexpr std::uint32_t kBinMs = 125;
  static constexpr std::size_t kBins = kEpochMs / kBinMs;

  bool fill();
  double detrend();
  [[nodiscard]] double regularity() const;
  void breaths(double rms, BreathingSummary& summary) const;

  std::array<float, kBins> wave_{};
  std::array<bool, kBins> heard_{};
};

}  // namespace noctis
