#include "noctis/breathing.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace noctis {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr std::int32_t kMaxGapMs = 1000;  // a longer pause is not bridged
constexpr double kPointS = 0.125;
constexpr std::size_t kMinKnown = 180;  // points, three quarters of the epoch
constexpr std::size_t kMinPairs = 80;   // points, 10 s: a lag with fewer pairs is not judged
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

// Finds breaths: from one upward crossing of zero to the next. Wiggles within `threshold` of
// zero are none.
class Breaths {
 public:
  explicit Breaths(double threshold) : threshold_(threshold) {}

  // A stretch begins with this value; what was under way before it is no whole breath.
  void begin(double value) {
    last_ = value;
    low_ = value < -threshold_;
    start_s_ = kNan;
  }
  void add(double at_s, double value) {
    if (last_ < 0.0 && value >= 0.0) {
      crossing_s_ = at_s - kPointS * value / (value - last_);
    }
    last_ = value;
    low_ = low_ || value < -threshold_;
    if (low_ && value > threshold_) {
      finish();
      lowest_ = value;
      highest_ = value;
    }
    lowest_ = std::min(lowest_, value);
    highest_ = std::max(highest_, value);
  }
  [[nodiscard]] const Spread& rates() const { return rates_; }
  [[nodiscard]] const Spread& amplitudes() const { return amplitudes_; }

 private:
  void finish() {
    if (!std::isnan(start_s_)) {
      rates_.add(60.0 / (crossing_s_ - start_s_));
      amplitudes_.add(highest_ - lowest_);
    }
    start_s_ = crossing_s_;
    low_ = false;
  }

  double threshold_;
  double last_ = 0.0;
  bool low_ = false;          // was below -threshold since the last crossing
  double crossing_s_ = kNan;  // the newest upward crossing of zero
  double start_s_ = kNan;     // where the breath under way began
  double lowest_ = 0.0;
  double highest_ = 0.0;
  Spread rates_;
  Spread amplitudes_;
};

}  // namespace

void Breathing::add(std::uint32_t elapsed_ms, float phase) {
  const auto now_ms = static_cast<std::int32_t>(std::min(elapsed_ms, kEpochMs - 1));
  if (now_ms < last_ms_) {
    return;
  }
  if (now_ms - last_ms_ > kMaxGapMs) {
    last_ms_ = now_ms - 1;
    last_phase_ = phase;
  }
  const float slope =
      (phase - last_phase_) / static_cast<float>(std::max<std::int32_t>(now_ms - last_ms_, 1));
  std::int32_t point = last_ms_ < 0 ? 0 : last_ms_ / kPointMs + 1;
  for (; point * kPointMs <= now_ms; ++point) {
    const auto since_ms = static_cast<float>(point * kPointMs - last_ms_);
    wave_[static_cast<std::size_t>(point)] = last_phase_ + slope * since_ms;
  }
  last_ms_ = now_ms;
  last_phase_ = phase;
}

BreathingSummary Breathing::finish() {
  BreathingSummary summary{kNan, kNan, kNan};
  const auto unknown = static_cast<std::size_t>(
      std::count_if(wave_.begin(), wave_.end(), [](float phase) { return std::isnan(phase); }));
  if (kPoints - unknown >= kMinKnown) {
    const double rms = detrend();
    if (rms > kFlat) {
      summary.regularity = regularity();
      breaths(rms, summary);
    }
  }
  wave_.fill(kUnknown);
  last_ms_ = std::max(last_ms_ - static_cast<std::int32_t>(kEpochMs), kLongAgoMs);
  return summary;
}

// The next stretch at or after `point`; one that begins at the end of the epoch if there is
// none.
Breathing::Stretch Breathing::stretch_from(std::size_t point) const {
  while (point < kPoints && !known(point)) {
    ++point;
  }
  Stretch stretch{point, point, 0.0, 0.0};
  for (; stretch.end < kPoints && known(stretch.end); ++stretch.end) {
    stretch.mean += static_cast<double>(wave_[stretch.end]);
  }
  const auto size = static_cast<double>(stretch.end - stretch.begin);
  stretch.middle = static_cast<double>(stretch.begin) + (size - 1.0) / 2.0;
  stretch.mean /= size;
  return stretch;
}

// Takes the least-squares line off the waveform; returns the RMS of what is left. All stretches
// share the line's slope, but each has a level of its own: after a pause the radar may have
// begun anew, with another zero.
double Breathing::detrend() {
  double product = 0.0;
  double spread = 0.0;
  for (Stretch s = stretch_from(0); s.begin < kPoints; s = stretch_from(s.end)) {
    for (std::size_t i = s.begin; i < s.end; ++i) {
      const double at = static_cast<double>(i) - s.middle;
      product += static_cast<double>(wave_[i]) * at;
      spread += at * at;
    }
  }
  const double slope = product / spread;
  double square = 0.0;
  std::size_t points = 0;
  for (Stretch s = stretch_from(0); s.begin < kPoints; s = stretch_from(s.end)) {
    for (std::size_t i = s.begin; i < s.end; ++i) {
      const double line = s.mean + slope * (static_cast<double>(i) - s.middle);
      const double left = static_cast<double>(wave_[i]) - line;
      wave_[i] = static_cast<float>(left);
      square += left * left;
      ++points;
    }
  }
  return std::sqrt(square / static_cast<double>(points));
}

// Of the waveform with itself `lag` points later; NaN if too little of both is known.
double Breathing::correlation(std::size_t lag) const {
  float product = 0.0F;
  float early = 0.0F;
  float late = 0.0F;
  std::size_t pairs = 0;
  for (std::size_t i = 0; i + lag < kPoints; ++i) {
    if (!known(i) || !known(i + lag)) {
      continue;
    }
    product += wave_[i] * wave_[i + lag];
    early += wave_[i] * wave_[i];
    late += wave_[i + lag] * wave_[i + lag];
    ++pairs;
  }
  if (pairs < kMinPairs) {
    return kNan;
  }
  const double energy = std::sqrt(static_cast<double>(early) * static_cast<double>(late));
  return energy > 0.0 ? static_cast<double>(product) / energy : 0.0;
}

// Only a peak counts: at short lags any smooth waveform resembles itself.
double Breathing::regularity() const {
  double best = 0.0;
  double before = std::numeric_limits<double>::infinity();
  double current = before;
  for (std::size_t lag = kMinLag - 1; lag <= kMaxLag + 1; ++lag) {
    const double next = correlation(lag);
    if (current > before && current >= next) {
      best = std::max(best, current);
    }
    before = current;
    current = next;
  }
  return std::min(best, 1.0);
}

void Breathing::breaths(double rms, BreathingSummary& summary) const {
  Breaths breaths(kHysteresis * rms);
  for (Stretch s = stretch_from(0); s.begin < kPoints; s = stretch_from(s.end)) {
    breaths.begin(static_cast<double>(wave_[s.begin]));
    for (std::size_t i = s.begin + 1; i < s.end; ++i) {
      breaths.add(static_cast<double>(i) * kPointS, static_cast<double>(wave_[i]));
    }
  }
  if (breaths.rates().count() >= kMinBreaths) {
    summary.rate_sd = breaths.rates().sd();
    summary.amplitude_cv = breaths.amplitudes().sd() / breaths.amplitudes().mean();
  }
}

}  // namespace noctis
