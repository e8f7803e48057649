// A night to play through the firmware: recorded (a folder of CSV files) or made up.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace noctis::host {

inline constexpr double kEpochS = 30.0;

enum class NightStage : std::uint8_t { unscored, wake, n1, n2, n3, rem };

// The stage's name in a CSV file: W, N1, N2, N3, R, or empty if unscored.
const char* stage_text(NightStage stage);

struct TimedValue {
  double t_s;  // seconds since the start of the night; recordings may begin before it
  double value;
};

// Breathing within one epoch of a made-up night.
struct BreathingPattern {
  float rate_per_min;
  float amplitude;    // of the phase waveform, rad
  float rate_jitter;  // relative spread from breath to breath
  float amplitude_jitter;
};

// Epoch k covers [30k, 30k + 30) s. A series that is empty was not recorded: its sensor then
// says nothing all night.
struct Night {
  std::vector<NightStage> stages;           // one an epoch
  std::vector<TimedValue> heart_rate;       // bpm, ascending in time
  std::vector<float> motion_counts;         // one an epoch, NaN where unknown; or empty
  std::vector<BreathingPattern> breathing;  // one an epoch; empty in recorded nights
  std::vector<std::uint8_t> present;        // one an epoch: 1 in bed, 0 out of it
  std::vector<std::uint8_t> turns;  // one an epoch: 1 if the sleeper turns over; or empty
  std::uint64_t seed = 0;           // of sensor noise and of where in an epoch one moves

  [[nodiscard]] std::size_t epochs() const { return stages.size(); }
};

// Loads a folder with stages.csv (t_s,stage) and any of heart_rate.csv (t_s,bpm), beats.csv
// (t_s,rr_s; used where heart_rate.csv is missing) and motion_counts.csv (t_s,count). Further
// columns are ignored. On failure `error` says what was wrong, in which file and line.
std::optional<Night> load_night(const std::string& dir, std::string& error);

// A night that nobody slept: cycles of about 90 minutes with their stages, and heart rate,
// breathing and motion that are plausible for each stage. Made up, for demonstrations and
// load; never use it to judge or train a stager. The same seed and hours give the same night.
Night make_up_night(std::uint64_t seed, double hours);

}  // namespace noctis::host
