// Everything here is made up from textbook shapes of sleep, not fitted to anybody.
#include <algorithm>
#include <array>
#include <cmath>

#include "night.hpp"
#include "random.hpp"

namespace noctis::host {
namespace {

constexpr double kEpochsPerHour = 120.0;
constexpr double kMaxHours = 336.0;  // 14 days
constexpr double kWarmUpS = 60.0;    // of the radar's heart and breath rates
constexpr double kHeartStepS = 5.0;
constexpr std::size_t kShortestWithTrip = 480;  // epochs

// What a stage does to the body.
struct Physiology {
  double heart_offset;   // bpm above the sleeper's resting rate
  double heart_spread;   // bpm, of the slow wander of heart rate
  double heart_seconds;  // its time constant
  double heart_jitter;   // bpm, from one 5 s to the next
  double surge_chance;   // of a sudden rise, in 5 s
  double breath_offset;  // breaths a minute
  float breath_jitter;
  float breath_amplitude;  // rad
  float amplitude_jitter;
  double move_chance;  // of an epoch
  double move_median;  // counts
};

constexpr std::array<Physiology, 6> kPhysiology{{
    {5.0, 2.8, 40.0, 0.9, 0.010, 1.5, 0.16F, 0.9F, 0.40F, 0.45, 14.0},    // unscored: as wake
    {5.0, 2.8, 40.0, 0.9, 0.010, 1.5, 0.16F, 0.9F, 0.40F, 0.45, 14.0},    // wake
    {1.5, 1.8, 60.0, 0.9, 0.015, 0.5, 0.11F, 0.9F, 0.25F, 0.18, 6.0},     // N1
    {0.0, 1.2, 90.0, 0.6, 0.010, 0.0, 0.07F, 1.0F, 0.15F, 0.04, 5.0},     // N2
    {0.0, 0.7, 120.0, 0.45, 0.002, -0.4, 0.03F, 1.1F, 0.07F, 0.02, 4.0},  // N3
    {2.5, 3.0, 100.0, 0.9, 0.012, 1.0, 0.17F, 0.8F, 0.30F, 0.05, 4.0},    // REM
}};

const Physiology& physiology(NightStage stage) {
  return kPhysiology[static_cast<std::size_t>(stage)];
}

// Lays the stages of a night one stretch after the other.
class Hypnogram {
 public:
  Hypnogram(std::size_t epochs, Random& random) : epochs_(epochs), random_(random) {}

  std::vector<NightStage> make() {
    stretch(NightStage::wake, random_.uniform(5.0, 25.0));
    for (int cycle = 0; stages_.size() < epochs_; ++cycle) {
      sleep_cycle(cycle);
    }
    stages_.resize(epochs_);
    const auto last = static_cast<std::ptrdiff_t>(random_.uniform(2.0, 16.0));
    if (last < static_cast<std::ptrdiff_t>(epochs_)) {
      std::fill(stages_.end() - last, stages_.end(), NightStage::wake);
    }
    return std::move(stages_);
  }

 private:
  // About 90 minutes: deep sleep fades from cycle to cycle, REM sleep grows.
  void sleep_cycle(int cycle) {
    const double deep_min = std::max(0.0, random_.uniform(30.0, 44.0) - 12.0 * cycle);
    const double rem_min = std::min(34.0, random_.uniform(6.0, 12.0) + 8.0 * cycle);
    const double light_min = std::max(20.0, random_.uniform(80.0, 96.0) - deep_min - rem_min);
    stretch(NightStage::n1, random_.uniform(1.0, 5.0));
    broken(NightStage::n2, light_min * 0.55);
    if (deep_min > 2.0) {
      stretch(NightStage::n3, deep_min);
    }
    broken(NightStage::n2, light_min * 0.45);
    broken(NightStage::rem, rem_min);
    if (random_.chance(0.6)) {
      stretch(NightStage::wake, random_.uniform(0.5, 3.0));
    }
  }

  void stretch(NightStage stage, double minutes) {
    const auto count = static_cast<std::size_t>(std::lround(std::max(1.0, 2.0 * minutes)));
    stages_.insert(stages_.end(), count, stage);
  }

  // A stretch that brief awakenings break up, about two an hour.
  void broken(NightStage stage, double minutes) {
    const auto count = static_cast<std::size_t>(std::lround(2.0 * minutes));
    for (std::size_t i = 0; i < count; ++i) {
      stages_.push_back(stage);
      if (!random_.chance(1.0 / 60.0)) {
        continue;
      }
      stretch(NightStage::wake, random_.uniform(0.5, 1.5));
      stretch(NightStage::n1, random_.uniform(0.5, 1.5));
    }
  }

  std::size_t epochs_;
  Random& random_;
  std::vector<NightStage> stages_;
};

// One trip out of bed in the second half of most longer nights.
void leave_bed(Night& night, Random& random) {
  night.present.assign(night.epochs(), 1);
  const bool leaves = random.chance(0.6);
  const auto awake = static_cast<std::size_t>(random.uniform(8.0, 16.0));
  const double where = random.uniform(0.5, 0.8);
  if (!leaves || night.epochs() < kShortestWithTrip) {
    return;
  }
  const auto first = static_cast<std::size_t>(where * static_cast<double>(night.epochs()));
  for (std::size_t k = first; k < first + awake; ++k) {
    night.stages[k] = NightStage::wake;
    if (k >= first + 2 && k + 3 < first + awake) {
      night.present[k] = 0;
    }
  }
}

void move(Night& night, Random& random) {
  for (std::size_t k = 0; k < night.epochs(); ++k) {
    const Physiology& stage = physiology(night.stages[k]);
    const bool changes = k > 0 && night.stages[k] != night.stages[k - 1];
    const bool moves = random.chance(changes ? 0.5 : stage.move_chance);
    const double count = stage.move_median * std::exp(1.1 * random.normal());
    const bool here = moves && night.present[k] != 0;
    night.motion_counts.push_back(here ? static_cast<float>(std::min(count, 400.0)) : 0.0F);
    night.turns.push_back(here && count > 12.0 && random.chance(0.35) ? 1 : 0);
  }
}

void breathe(Night& night, Random& random) {
  const double resting = random.uniform(12.5, 16.5);
  for (const NightStage name : night.stages) {
    const Physiology& stage = physiology(name);
    const double rate = resting + stage.breath_offset + 0.25 * random.normal();
    night.breathing.push_back({static_cast<float>(rate), stage.breath_amplitude,
                               stage.breath_jitter, stage.amplitude_jitter});
  }
}

// A wander around the stage's rate, with a rise after each movement and now and then without.
void beat(Night& night, Random& random) {
  const double resting = random.uniform(48.0, 66.0);
  double level = resting + physiology(NightStage::wake).heart_offset;
  double wander = 0.0;
  double surge = 0.0;
  constexpr auto steps_per_epoch = static_cast<std::size_t>(kEpochS / kHeartStepS);
  for (std::size_t step = 0; step < steps_per_epoch * night.epochs(); ++step) {
    const double t_s = static_cast<double>(step) * kHeartStepS;
    const std::size_t epoch = step / steps_per_epoch;
    const Physiology& stage = physiology(night.stages[epoch]);
    const double fall = 4.0 * std::min(1.0, t_s / 18000.0);
    level += (resting + stage.heart_offset - fall - level) * (kHeartStepS / 90.0);
    const double keep = std::exp(-kHeartStepS / stage.heart_seconds);
    wander =
        keep * wander + stage.heart_spread * std::sqrt(1.0 - keep * keep) * random.normal();
    const double moved = std::min(12.0, 0.3 * static_cast<double>(night.motion_counts[epoch]));
    const double push = random.chance(stage.surge_chance) ? random.uniform(3.0, 10.0) : moved;
    surge = std::max(surge * std::exp(-kHeartStepS / 20.0), push);
    const double bpm = level + wander + surge + stage.heart_jitter * random.normal();
    const bool heard = t_s >= kWarmUpS && !random.chance(0.004);
    night.heart_rate.push_back({t_s, heard ? std::clamp(bpm, 35.0, 180.0) : 0.0});
  }
}

}  // namespace

Night make_up_night(std::uint64_t seed, double hours) {
  const double bounded = hours > 0.0 ? std::min(hours, kMaxHours) : 0.0;
  const auto epochs =
      static_cast<std::size_t>(std::max(1L, std::lround(bounded * kEpochsPerHour)));
  Random random(seed);
  Night night;
  night.seed = mix(seed);
  night.stages = Hypnogram(epochs, random).make();
  leave_bed(night, random);
  move(night, random);
  breathe(night, random);
  beat(night, random);
  return night;
}

}  // namespace noctis::host
