#include "noctis/breathing.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace noctis {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kBinS = 0.125;
constexpr std::size_t kMinHeard = 180;  // three quarters of the epoch
constexpr double kFlat = 1e-4;          // rad; a waveform with less is no breathing
constexpr std::size_t kMinLag = 12;     // 1.5 s, 40 breaths a minute
constexpr std::size_t kMaxLag = 96;     // 12 s, 5 breaths a minute
constexpr double kHysteresis = 0.3;     // of the RMS: smaller wiggles are no breaths
constexpr int kMinBreaths = 3;

// Mean and sample standard deviation of what it was given.
class Spread {
 public:
  void add(double value) {
    ++count_;
    const double step = value - mean_;
    mean_ += step / count_;
    square_ += step * (value - mean_);
  }
  [[nodiscard]] int count() const { return count_; }
  [[nodiscard]] double mean() const { return mean_; }
  [[nodiscard]] double sd() const { return std::sqrt(square_ / (count_ - 1)); }

 private:
  int count_ = 0;
  double mean_ = 0.0;
  double square_ = 0.0;
};

}  // namespace

void Breathing::add(std::uint32_t elapsed_ms, float phase) {
  const std::size_t bin = std::min<std::size_t>(elapsed_ms / kBinMs, kBins - 1);
  wave_[bin] = phase;
  heard_[bin] = true;
}

BreathingSummary Breathing::finish() {
  BreathingSummary summary{kNan, kNan, kNan};
  if (fill()) {
    const double rms = detrend();
    if (rms > kFlat) {
      summary.regularity = regularity();
      breaths(rms, summary);
    }
  }
  heard_ = {};
  return summary;
}

// Holds the last phase over bins that heard none; false if too few heard one.
bool Breathing::fill() {
  const auto heard = static_cast<std::size_t>(std::count(heard_.begin(), heard_.end(), true));
  if (heard < kMinHeard) {
    return false;
  }
  std::size_t first = 0;
  while (!heard_[first]) {
    ++first;
  }
  for (std::size_t i = 0; i < first; ++i) {
    wave_[i] = wave_[first];
  }
  for (std::size_t i = first + 1; i < kBins; ++i) {
    if (!heard_[i]) {
      wave_[i] = wave_[i - 1];
    }
  }
  return true;
}

// Takes the least-squares line off the waveform; returns the RMS of what is left.
double Breathing::detrend() {
  constexpr double middle = (kBins - 1) / 2.0;
  double sum = 0.0;
  double product = 0.0;
  double spread = 0.0;
  for (std::size_t i = 0; i < kBins; ++i) {
    const double at = static_cast<double>(i) - middle;
    sum += static_cast<double>(wave_[i]);
    product += static_cast<double>(wave_[i]) * at;
    spread += at * at;
  }
  const double slope = product / spread;
  double square = 0.0;
  for (std::size_t i = 0; i < kBins; ++i) {
    const double line = sum / kBins + slope * (static_cast<double>(i) - middle);
    const double left = static_cast<double>(wave_[i]) - line;
    wave_[i] = static_cast<float>(left);
    square += left * left;
  }
  return std::sqrt(square / kBins);
}

// Only a peak counts: at short lags any smooth waveform resembles itself.
double Breathing::regularity() const {
  double best = 0.0;
  double before = std::numeric_limits<double>::infinity();
  double current = before;
  for (std::size_t lag = kMinLag - 1; lag <= kMaxLag + 1; ++lag) {
    float product = 0.0F;
    float early = 0.0F;
    float late = 0.0F;
    for (std::size_t i = 0; i + lag < kBins; ++i) {
      product += wave_[i] * wave_[i + lag];
      early += wave_[i] * wave_[i];
      late += wave_[i + lag] * wave_[i + lag];
    }
    const double energy = std::sqrt(static_cast<double>(early) * static_cast<double>(late));
    const double next = energy > 0.0 ? static_cast<double>(product) / energy : 0.0;
    if (current > before && current >= next) {
      best = std::max(best, current);
    }
    before = current;
    current = next;
  }
  return std::min(best, 1.0);
}

// A breath runs from one upward crossing of zero to the next.
void Breathing::breaths(double rms, BreathingSummary& summary) const {
  const double threshold = kHysteresis * rms;
  Spread rates;
  Spread amplitudes;
  bool low = false;        // was below -threshold since the last crossing
  double crossing = kNan;  // the newest upward crossing of zero, in bins
  double start = kNan;     // where the breath under way began
  double lowest = 0.0;
  double highest = 0.0;
  for (std::size_t i = 1; i < kBins; ++i) {
    const double last = static_cast<double>(wave_[i - 1]);
    const double value = static_cast<double>(wave_[i]);
    if (last < 0.0 && value >= 0.0) {
      crossing = static_cast<double>(i) - value / (value - last);
    }
    if (value < -threshold) {
      low = true;
    }
    if (low && value > threshold) {
      if (!std::isnan(start)) {
        rates.add(60.0 / ((crossing - start) * kBinS));
        amplitudes.add(highest - lowest);
      }
      start = crossing;
      low = false;
      lowest = value;
      highest = value;
    }
    lowest = std::min(lowest, value);
    highest = std::max(highest, value);
  }
  if (rates.count() < kMinBreaths) {
    return;
  }
  summary.rate_sd = rates.sd();
  summary.amplitude_cv = amplitudes.sd() / amplitudes.mean();
}

}  // namespace noctis
