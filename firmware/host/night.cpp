#include "night.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <limits>
#include <string_view>

#include "night_table.hpp"
#include "random.hpp"

namespace noctis::host {
namespace {

constexpr double kMaxBpm = 300.0;

// Beats to the heart rate of a watch: every 5 s the mean over the good beats of the last 7 s,
// in whole beats a minute.
constexpr double kShortestBeatS = 0.33;
constexpr double kLongestBeatS = 2.0;
constexpr std::size_t kMedianBeats = 15;
constexpr double kMaxOffMedian = 0.35;
constexpr double kWatchStepS = 5.0;
constexpr double kWatchWindowS = 7.0;
constexpr double kWatchStartS = 10.0;
constexpr std::size_t kMinBeats = 3;

constexpr std::array<std::string_view, 6> kStageTexts{"", "W", "N1", "N2", "N3", "R"};

std::int64_t epoch_of(double t_s) { return std::llround(t_s / kEpochS); }

bool fill_stages(const Table& table, Night& night, std::string& error) {
  if (table.rows.empty()) {
    error = table.path + " holds no epoch";
    return false;
  }
  if (table.rows.front().t_s < 0.0) {
    error = complaint(table, table.rows.front().line, "an epoch before the night's start");
    return false;
  }
  const auto epochs = static_cast<std::size_t>(epoch_of(table.rows.back().t_s)) + 1;
  night.stages.assign(epochs, NightStage::unscored);
  for (const TableRow& row : table.rows) {
    const auto found = std::find(kStageTexts.begin(), kStageTexts.end(), row.value);
    if (found == kStageTexts.end()) {
      error = complaint(table, row.line,
                        in_quotes(row.value) + " is no stage: use W, N1, N2, N3, R or nothing");
      return false;
    }
    const auto stage = static_cast<NightStage>(found - kStageTexts.begin());
    NightStage& slot = night.stages[static_cast<std::size_t>(epoch_of(row.t_s))];
    if (slot != NightStage::unscored && stage != NightStage::unscored && slot != stage) {
      error = complaint(table, row.line, "a second, different stage of the same epoch");
      return false;
    }
    if (stage != NightStage::unscored) {
      slot = stage;
    }
  }
  return true;
}

// The number in a row, or false with an error. An empty field gives NaN.
bool read_value(const Table& table, const TableRow& row, double& value, std::string& error) {
  value = std::numeric_limits<double>::quiet_NaN();
  if (row.value.empty()) {
    return true;
  }
  const std::optional<double> number = parse_number(row.value);
  if (!number) {
    error = complaint(table, row.line, in_quotes(row.value) + " is no number");
    return false;
  }
  value = *number;
  return true;
}

bool read_series(const Table& table, std::vector<TimedValue>& series, std::string& error) {
  for (const TableRow& row : table.rows) {
    double value = 0.0;
    if (!read_value(table, row, value, error)) {
      return false;
    }
    if (std::isnan(value)) {
      continue;
    }
    if (!series.empty() && series.back().t_s == row.t_s) {
      series.back().value = value;  // the later row of one moment holds
    } else {
      series.push_back({row.t_s, value});
    }
  }
  return true;
}

bool fill_heart_rate(const Table& table, Night& night, std::string& error) {
  if (!read_series(table, night.heart_rate, error)) {
    return false;
  }
  for (const TableRow& row : table.rows) {
    const double bpm = parse_number(row.value).value_or(0.0);
    if (bpm >= 0.0 && bpm <= kMaxBpm) {
      continue;
    }
    error = complaint(table, row.line, row.value + " bpm is no heart rate");
    return false;
  }
  return true;
}

bool is_beat(double rr_s) { return rr_s > kShortestBeatS && rr_s < kLongestBeatS; }

// Median of the plausible intervals among the 15 up to beat `last`; NaN if fewer than 3.
double recent_median(const std::vector<TimedValue>& beats, std::size_t last) {
  std::array<double, kMedianBeats> recent{};
  std::size_t count = 0;
  const std::size_t first = last + 1 < kMedianBeats ? 0 : last + 1 - kMedianBeats;
  for (std::size_t i = first; i <= last; ++i) {
    if (is_beat(beats[i].value)) {
      recent[count++] = beats[i].value;
    }
  }
  if (count < kMinBeats) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  std::sort(recent.begin(), recent.begin() + static_cast<std::ptrdiff_t>(count));
  return (recent[(count - 1) / 2] + recent[count / 2]) / 2.0;
}

std::vector<TimedValue> good_beats(const std::vector<TimedValue>& beats) {
  std::vector<TimedValue> good;
  for (std::size_t i = 0; i < beats.size(); ++i) {
    if (!is_beat(beats[i].value)) {
      continue;
    }
    const double off = std::fabs(beats[i].value / recent_median(beats, i) - 1.0);
    if (std::isnan(off) || off < kMaxOffMedian) {
      good.push_back(beats[i]);
    }
  }
  return good;
}

void fill_from_beats(const std::vector<TimedValue>& beats, Night& night) {
  const std::vector<TimedValue> good = good_beats(beats);
  const double end_s = static_cast<double>(night.epochs()) * kEpochS;
  std::size_t first = 0;
  std::size_t last = 0;
  double sum = 0.0;
  const auto steps = static_cast<std::size_t>((end_s - kWatchStartS) / kWatchStepS);
  for (std::size_t step = 0; step < steps; ++step) {
    const double t_s = kWatchStartS + kWatchStepS * static_cast<double>(step);
    for (; last < good.size() && good[last].t_s <= t_s; ++last) {
      sum += good[last].value;
    }
    for (; first < last && good[first].t_s < t_s - kWatchWindowS; ++first) {
      sum -= good[first].value;
    }
    const std::size_t count = last - first;
    if (count < kMinBeats) {
      continue;
    }
    night.heart_rate.push_back({t_s, std::nearbyint(60.0 * static_cast<double>(count) / sum)});
  }
}

bool fill_motion(const Table& table, Night& night, std::string& error) {
  night.motion_counts.assign(night.epochs(), std::numeric_limits<float>::quiet_NaN());
  for (const TableRow& row : table.rows) {
    double count = 0.0;
    if (!read_value(table, row, count, error)) {
      return false;
    }
    const std::int64_t epoch = epoch_of(row.t_s);
    if (epoch < 0 || epoch >= static_cast<std::int64_t>(night.epochs())) {
      continue;
    }
    night.motion_counts[static_cast<std::size_t>(epoch)] =
        static_cast<float>(count < 0.0 ? 0.0 : count);
  }
  return true;
}

class Folder {
 public:
  Folder(const std::string& dir, std::string& error) : dir_(dir), error_(error) {}

  bool has(const char* name) const {
    std::error_code ignored;
    return std::filesystem::exists(dir_ / name, ignored);
  }

  // Reads a file and hands it on; true if there is none or all went well.
  template <typename Take>
  bool read(const char* name, const char* column, Take take) const {
    if (!has(name)) {
      return true;
    }
    const std::optional<Table> table = read_table((dir_ / name).string(), column, error_);
    return table && take(*table);
  }

 private:
  std::filesystem::path dir_;
  std::string& error_;
};

bool load_heart(const Folder& folder, Night& night, std::string& error) {
  if (folder.has("heart_rate.csv")) {
    return folder.read("heart_rate.csv", "bpm", [&](const Table& table) {
      return fill_heart_rate(table, night, error);
    });
  }
  return folder.read("beats.csv", "rr_s", [&](const Table& table) {
    std::vector<TimedValue> beats;
    if (!read_series(table, beats, error)) {
      return false;
    }
    fill_from_beats(beats, night);
    return true;
  });
}

// A seed of the night's own, so that its noise does not depend on where it is kept.
std::uint64_t seed_of(const Night& night) {
  std::uint64_t seed = night.epochs();
  for (const NightStage stage : night.stages) {
    seed = mix(seed ^ static_cast<unsigned>(stage));
  }
  for (const TimedValue& rate : night.heart_rate) {
    seed = mix(seed ^ static_cast<std::uint64_t>(std::llround(rate.value * 16.0)));
  }
  return seed;
}

}  // namespace

const char* stage_text(NightStage stage) {
  return kStageTexts[static_cast<std::size_t>(stage)].data();
}

std::optional<Night> load_night(const std::string& dir, std::string& error) {
  std::error_code ignored;
  if (!std::filesystem::is_directory(dir, ignored)) {
    error = "there is no folder " + dir +
            ": name one with stages.csv and heart_rate.csv, "
            "beats.csv or motion_counts.csv";
    return std::nullopt;
  }
  const Folder folder(dir, error);
  if (!folder.has("stages.csv")) {
    error = dir + " holds no stages.csv (t_s,stage), which says how long the night was";
    return std::nullopt;
  }
  Night night;
  const bool loaded =
      folder.read("stages.csv", "stage",
                  [&](const Table& table) { return fill_stages(table, night, error); }) &&
      load_heart(folder, night, error) &&
      folder.read("motion_counts.csv", "count",
                  [&](const Table& table) { return fill_motion(table, night, error); });
  if (!loaded) {
    return std::nullopt;
  }
  night.present.assign(night.epochs(), 1);
  night.seed = seed_of(night);
  return night;
}

}  // namespace noctis::host
