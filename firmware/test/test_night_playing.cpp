#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "csv.hpp"
#include "night.hpp"
#include "noctis/quantise.hpp"
#include "sensors.hpp"

using namespace noctis;
using namespace noctis::host;

namespace {

constexpr float kUnknown = std::numeric_limits<float>::quiet_NaN();

Night quiet_night(std::size_t epochs) {
  Night night;
  night.stages.assign(epochs, NightStage::n2);
  night.present.assign(epochs, 1);
  night.seed = 1;
  return night;
}

std::vector<Epoch> played(const Night& night) {
  SensorFeed feed(night);
  EpochBuilder builder;
  std::vector<Epoch> epochs;
  builder.begin(0);
  for (std::size_t k = 0; k < night.epochs(); ++k) {
    feed.play(30.0 * static_cast<double>(k), 30.0 * static_cast<double>(k + 1), builder);
    epochs.push_back(builder.finish(static_cast<std::uint32_t>(k + 1) * kEpochMs));
  }
  return epochs;
}

double value(const Epoch& epoch, Feature feature) {
  return dequantise(feature, epoch.codes[feature]);
}

bool missing(const Epoch& epoch, Feature feature) {
  return epoch.codes[feature] == missing_code(feature);
}

std::string csv_of(const Night& night) {
  std::FILE* file = std::tmpfile();
  REQUIRE(file != nullptr);
  CHECK(print_csv(night, {}, file) == 0);
  std::string text(static_cast<std::size_t>(std::ftell(file)), '\0');
  std::rewind(file);
  CHECK(std::fread(text.data(), 1, text.size(), file) == text.size());
  std::fclose(file);
  return text;
}

}  // namespace

TEST_CASE("the firmware counts as much motion as was recorded") {
  const std::vector<float> counts = {0.0F, 0.1F, 0.5F, 2.0F, 10.0F, 40.0F, 150.0F, 300.0F};
  Night night = quiet_night(8 * 20);
  for (std::size_t k = 0; k < night.epochs(); ++k) {
    night.motion_counts.push_back(counts[k % counts.size()]);
  }
  const auto epochs = played(night);
  for (std::size_t k = 0; k < epochs.size(); ++k) {
    const auto count = static_cast<double>(night.motion_counts[k]);
    CAPTURE(count);
    if (count == 0.0) {
      CHECK(value(epochs[k], act_count) == 0.0);
      CHECK(value(epochs[k], move_frac) == 0.0);
    } else {
      CHECK(std::fabs(value(epochs[k], act_count) - count) < 0.07 + 0.09 * count);
      CHECK(value(epochs[k], move_frac) > 0.0);
      CHECK(value(epochs[k], still_s) < 30.0);
    }
  }
}

TEST_CASE("epochs without recorded motion have none, and no sensor at all if none was") {
  Night night = quiet_night(3);
  CHECK(missing(played(night)[0], act_count));
  night.motion_counts = {1.0F, kUnknown, 1.0F};
  const auto epochs = played(night);
  for (const Feature feature : {act_count, enmo, move_frac, still_s, tilt_change}) {
    CHECK_FALSE(missing(epochs[0], feature));
    CHECK(missing(epochs[1], feature));
    CHECK_FALSE(missing(epochs[2], feature));
  }
}

TEST_CASE("a recorded heart rate holds for 15 s and then there is none") {
  Night night = quiet_night(3);
  night.heart_rate = {{-3.0, 50.0}, {5.0, 60.0}, {35.0, 70.0}};
  const auto epochs = played(night);
  // Slots of the first epoch: 50, 60, 60, 60, 60 (to 20 s), none.
  CHECK(value(epochs[0], hr_mean) == doctest::Approx(58.0).epsilon(0.003));
  CHECK(value(epochs[0], quality) == doctest::Approx(21.0 / 30.0));
  CHECK(value(epochs[1], hr_mean) == doctest::Approx(70.0).epsilon(0.003));
  CHECK(missing(epochs[2], hr_mean));
  CHECK(epochs[2].in_bed);
  CHECK(value(epochs[2], quality) == 0.0);
}

TEST_CASE("a recorded night has no breathing") {
  Night night = quiet_night(1);
  night.heart_rate = {{0.0, 60.0}};
  const Epoch epoch = played(night)[0];
  for (const Feature feature : {rr_mean, rr_sd, rr_regularity, resp_amp_cv}) {
    CHECK(missing(epoch, feature));
  }
}

TEST_CASE("a night is the same in whatever pieces it is played") {
  const Night night = make_up_night(3, 0.25);
  SensorFeed feed(night);
  EpochBuilder builder;
  builder.begin(0);
  const auto whole = played(night);
  for (std::size_t k = 0; k < night.epochs(); ++k) {
    const double from_s = 30.0 * static_cast<double>(k);
    feed.play(from_s, from_s + 0.001, builder);
    feed.play(from_s + 0.001, from_s + 7.77, builder);
    feed.play(from_s + 7.77, from_s + 30.0, builder);
    const Epoch epoch = builder.finish(static_cast<std::uint32_t>(k + 1) * kEpochMs);
    CHECK(epoch.codes == whole[k].codes);
  }
}

TEST_CASE("a night may be taken up in the middle") {
  const Night night = make_up_night(4, 0.5);
  const auto whole = played(night);
  SensorFeed feed(night);
  EpochBuilder builder;
  builder.begin(20 * kEpochMs);
  feed.play(600.0, 630.0, builder);
  const Epoch epoch = builder.finish(21 * kEpochMs);
  CHECK(epoch.codes[hr_mean] == whole[20].codes[hr_mean]);
  CHECK(epoch.codes[rr_regularity] == whole[20].codes[rr_regularity]);
  CHECK(value(epoch, act_count) == doctest::Approx(value(whole[20], act_count)).epsilon(0.05));
}

TEST_CASE("a sleeper who turns over turns the sensor, who lies still does not") {
  Night night = quiet_night(20);
  for (std::size_t k = 0; k < night.epochs(); ++k) {
    night.motion_counts.push_back(k % 2 == 1 ? 30.0F : 0.0F);
    night.turns.push_back(k % 4 == 1 ? 1 : 0);
  }
  const auto epochs = played(night);
  int turned = 0;
  for (std::size_t k = 0; k < epochs.size(); ++k) {
    if (night.turns[k] != 0) {
      turned += value(epochs[k], tilt_change) > 10.0 ? 1 : 0;
    } else {
      CHECK(value(epochs[k], tilt_change) < 2.0);
    }
    CHECK(value(epochs[k], enmo) < 60.0);
  }
  CHECK(turned >= 4);
}

TEST_CASE("nothing is sent after the night's end") {
  const Night night = make_up_night(5, 0.1);
  SensorFeed feed(night);
  EpochBuilder builder;
  const double end_s = 30.0 * static_cast<double>(night.epochs());
  feed.play(end_s, end_s + 60.0, builder);
  CHECK(builder.radar_counts().frames == 0);
}

TEST_CASE("all that the feed sends is well formed") {
  const Night night = make_up_night(6, 0.5);
  SensorFeed feed(night);
  EpochBuilder builder;
  feed.play(0.0, 1800.0, builder);
  CHECK(builder.radar_counts().frames == 4 * 8 * 1800);
  CHECK(builder.radar_counts().refused == 0);
  CHECK(builder.radar_counts().skipped_bytes == 0);
}

TEST_CASE("the same seed makes the same night, another seed another") {
  CHECK(csv_of(make_up_night(1, 1.0)) == csv_of(make_up_night(1, 1.0)));
  CHECK(csv_of(make_up_night(1, 1.0)) != csv_of(make_up_night(2, 1.0)));
}

TEST_CASE("a made-up night is as long as was asked for, and never absurd") {
  CHECK(make_up_night(1, 8.0).epochs() == 960);
  CHECK(make_up_night(1, 0.0).epochs() == 1);
  CHECK(make_up_night(1, -3.0).epochs() == 1);
  CHECK(make_up_night(1, std::nan("")).epochs() == 1);
  CHECK(make_up_night(1, 1e12).epochs() == 336 * 120);
}

TEST_CASE("made-up nights sleep as the textbook says") {
  std::array<double, 6> share{};
  double deep_early = 0.0;
  double rem_late = 0.0;
  double out_of_bed = 0.0;
  constexpr int nights = 40;
  for (std::uint64_t seed = 0; seed < nights; ++seed) {
    const Night night = make_up_night(seed, 8.0);
    for (std::size_t k = 0; k < night.epochs(); ++k) {
      const NightStage stage = night.stages[k];
      share[static_cast<std::size_t>(stage)] += 1.0 / 960.0 / nights;
      deep_early += stage == NightStage::n3 && k < 480 ? 1.0 / 960.0 / nights : 0.0;
      rem_late += stage == NightStage::rem && k >= 480 ? 1.0 / 960.0 / nights : 0.0;
      out_of_bed += night.present[k] == 0 ? 1.0 : 0.0;
    }
    CHECK(night.stages.front() == NightStage::wake);
    CHECK(night.stages.back() == NightStage::wake);
  }
  const auto of = [&share](NightStage stage) { return share[static_cast<std::size_t>(stage)]; };
  CHECK(of(NightStage::unscored) == 0.0);
  CHECK(of(NightStage::wake) > 0.05);
  CHECK(of(NightStage::wake) < 0.20);
  CHECK(of(NightStage::n2) > 0.35);
  CHECK(of(NightStage::n2) < 0.60);
  CHECK(of(NightStage::n3) > 0.10);
  CHECK(of(NightStage::n3) < 0.25);
  CHECK(of(NightStage::rem) > 0.12);
  CHECK(of(NightStage::rem) < 0.28);
  CHECK(deep_early > 0.75 * of(NightStage::n3));
  CHECK(rem_late > 0.6 * of(NightStage::rem));
  CHECK(out_of_bed > 0.0);
}

TEST_CASE("a made-up body shows its stage") {
  const Night night = make_up_night(11, 8.0);
  const auto epochs = played(night);
  std::array<double, 6> count{};
  std::array<double, 6> regularity{};
  std::array<double, 6> rate{};
  std::array<double, 6> spread{};
  std::array<double, 6> moved{};
  for (std::size_t k = 0; k < epochs.size(); ++k) {
    if (missing(epochs[k], rr_regularity) || missing(epochs[k], hr_sd)) {
      continue;
    }
    const auto stage = static_cast<std::size_t>(night.stages[k]);
    count[stage] += 1.0;
    regularity[stage] += value(epochs[k], rr_regularity);
    rate[stage] += value(epochs[k], hr_mean);
    spread[stage] += value(epochs[k], hr_sd);
    moved[stage] += value(epochs[k], move_frac) > 0.0 ? 1.0 : 0.0;
  }
  const auto mean = [&count](const std::array<double, 6>& sums, NightStage stage) {
    return sums[static_cast<std::size_t>(stage)] / count[static_cast<std::size_t>(stage)];
  };
  CHECK(mean(regularity, NightStage::n3) > mean(regularity, NightStage::rem) + 0.1);
  CHECK(mean(rate, NightStage::wake) > mean(rate, NightStage::n3) + 3.0);
  CHECK(mean(spread, NightStage::rem) > mean(spread, NightStage::n3) + 0.4);
  CHECK(mean(moved, NightStage::wake) > 5.0 * mean(moved, NightStage::n3));
}

TEST_CASE("out of a made-up bed there is neither presence nor heart rate") {
  Night night = make_up_night(1, 0.1);
  night.present.assign(night.epochs(), 0);
  const auto epochs = played(night);
  CHECK_FALSE(epochs[5].in_bed);
  CHECK(missing(epochs[5], hr_mean));
  CHECK(missing(epochs[5], rr_mean));
  CHECK(value(epochs[5], quality) == 0.0);
}

TEST_CASE("the table of a night has its header, a row an epoch and nothing where missing") {
  Night night = quiet_night(2);
  night.stages[0] = NightStage::unscored;
  night.heart_rate = {{0.0, 60.0}, {14.0, 60.0}};
  const std::string expected =
      "t_s,stage,in_bed,hr_mean,hr_sd,hr_slope,hr_rmssd,hr_range,rr_mean,rr_sd,rr_regularity,"
      "resp_amp_cv,act_count,enmo,move_frac,still_s,tilt_change,quality\n"
      "0,,1,60,0,0,0,0,,,,,,,,,,1\n"
      "30,N2,1,,,,,,,,,,,,,,,0\n";
  CHECK(csv_of(night) == expected);
}

TEST_CASE("a table that cannot be written is an error") {
  std::FILE* full = std::fopen("/dev/full", "w");
  REQUIRE(full != nullptr);
  CHECK(print_csv(make_up_night(1, 0.1), {}, full) == 1);
  std::fclose(full);
}

TEST_CASE("real nights play as they were recorded") {
  const char* root = std::getenv("NOCTIS_NIGHTS");
  if (root == nullptr) {
    return;
  }
  int nights = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
    if (!std::filesystem::exists(entry.path() / "stages.csv") || nights == 4) {
      continue;
    }
    ++nights;
    std::string error;
    const auto night = load_night(entry.path().string(), error);
    REQUIRE_MESSAGE(night, error);
    const auto epochs = played(*night);
    double worst = 0.0;
    for (std::size_t k = 0; k < epochs.size(); ++k) {
      const bool known = !night->motion_counts.empty() && !std::isnan(night->motion_counts[k]);
      CHECK(known != missing(epochs[k], act_count));
      if (known) {
        const auto count = static_cast<double>(night->motion_counts[k]);
        const double off = std::fabs(value(epochs[k], act_count) - count) - 0.07;
        worst = std::max(worst, off / (count + 1.0));
      }
    }
    CHECK(worst < 0.12);
  }
  CHECK(nights > 0);
}
