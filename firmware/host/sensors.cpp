#include "sensors.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "random.hpp"

namespace noctis::host {
namespace {

constexpr double kPi = 3.141592653589793;
constexpr std::uint32_t kWakeTicks = 50;   // 1 s, in which the driver finds the chip
constexpr unsigned kFlipped = 10;          // of 256 bytes of a noisy UART,
constexpr unsigned kInserted = 5;          // and bytes that nobody sent
constexpr double kHeartRateFreshS = 15.0;  // recordings pause for 5 to 10 s
constexpr std::size_t kSmoothedBreaths = 4;
constexpr float kPhaseNoise = 0.02F;  // rad

constexpr float kNoiseG = 0.0023F;  // MPU6050: 0.4 mg per root Hz behind its 21 Hz filter
constexpr double kCountsPerMovingSecond = 8.0;
constexpr double kTurnS = 1.5;

// About normal, with variance 1: the sum of three uniform numbers of 7 bits.
float noise(std::uint64_t bits) {
  const auto sum = (bits & 127U) + ((bits >> 7U) & 127U) + ((bits >> 14U) & 127U);
  return (static_cast<float>(sum) - 190.5F) / 64.0F;
}

// What a sensor at rest in `gravity` feels, with its noise, on top of an acceleration along an
// axis.
AccelSample felt(const AccelSample& gravity, const AccelSample& axis, float along,
                 std::uint64_t bits) {
  return {gravity.x + axis.x * along + kNoiseG * noise(bits),
          gravity.y + axis.y * along + kNoiseG * noise(bits >> 21U),
          gravity.z + axis.z * along + kNoiseG * noise(bits >> 42U)};
}

// Lets the driver find its chip in the second before.
void wake(Mpu6050Chip& chip, Mpu6050& driver, std::uint32_t now_ms) {
  AccelSample none{};
  for (std::uint32_t tick = kWakeTicks; tick > 0; --tick) {
    chip.feel({0.0F, 0.0F, 1.0F}, tick);
    driver.poll(now_ms - tick * kAccelPeriodMs, none);
  }
}

// A second's burst of movement: a swing that rises and falls within the second.
float swing(double in_second, float hertz) {
  const double envelope = 0.5 - 0.5 * std::cos(2.0 * kPi * in_second);
  return static_cast<float>(envelope *
                            std::sin(2.0 * kPi * static_cast<double>(hertz) * in_second));
}

AccelSample direction(Random& random) {
  const double z = random.uniform(-1.0, 1.0);
  const double turn = random.uniform(0.0, 2.0 * kPi);
  const double flat = std::sqrt(1.0 - z * z);
  return {static_cast<float>(flat * std::cos(turn)), static_cast<float>(flat * std::sin(turn)),
          static_cast<float>(z)};
}

// How large a swing must be for the firmware to count so much in a second: the firmware's own
// motion code, measured once and read backwards.
class SwingTable {
 public:
  SwingTable() {
    float most = 0.0F;
    for (std::size_t i = 0; i < kPoints; ++i) {
      amplitude_[i] = 0.006F * std::pow(1.15F, static_cast<float>(i));
      most = std::max(most, measured(amplitude_[i]));
      count_[i] = most;
    }
  }
  [[nodiscard]] float amplitude(float count) const {
    const auto above = std::upper_bound(count_.begin(), count_.end(), count);
    if (above == count_.end()) {
      return amplitude_.back();
    }
    const auto i = static_cast<std::size_t>(above - count_.begin());
    if (i == 0) {
      return amplitude_[0];
    }
    const float share = (count - count_[i - 1]) / (count_[i] - count_[i - 1]);
    return amplitude_[i - 1] + share * (amplitude_[i] - amplitude_[i - 1]);
  }

 private:
  static constexpr std::size_t kPoints = 42;  // up to 1.85 g

  // Counts of one such swing, the mean of ten.
  static float measured(float amplitude_g) {
    Motion motion;
    Mpu6050Chip chip;
    Mpu6050 driver(chip);
    wake(chip, driver, 0);
    AccelSample sample{};
    for (std::uint32_t i = 0; i < 1500; ++i) {
      const double in_second = (i % 50) / 50.0;
      const float along = (i / 50) % 3 == 1 ? amplitude_g * swing(in_second, 3.0F) : 0.0F;
      chip.feel(felt({0.0F, 0.0F, 1.0F}, {0.8F, 0.6F, 0.0F}, along, mix(i)), mix(i));
      driver.poll(i * kAccelPeriodMs, sample);
      motion.add(i * kAccelPeriodMs, i * kAccelPeriodMs, sample);
    }
    return static_cast<float>(motion.finish().act_count) / 10.0F;
  }

  std::array<float, kPoints> amplitude_{};
  std::array<float, kPoints> count_{};
};

std::int64_t first_tick(double from_s, std::int64_t period_ms) {
  const std::int64_t from_ms = std::max<std::int64_t>(0, std::llround(from_s * 1000.0));
  return (from_ms + period_ms - 1) / period_ms;
}

}  // namespace

SensorFeed::SensorFeed(const Night& night, SensorSetup setup, SensorListener* listener)
    : night_(night), setup_(std::move(setup)), listener_(listener) {
  lay_breaths();
  lay_turns();
}

void SensorFeed::play(double from_s, double to_s, EpochBuilder& builder) {
  const double end_s = std::min(to_s, static_cast<double>(night_.epochs()) * kEpochS);
  const std::int64_t end_ms = std::llround(end_s * 1000.0);
  std::int64_t radar = first_tick(from_s, kMr60bha2PeriodMs) * kMr60bha2PeriodMs;
  std::int64_t accel = first_tick(from_s, kAccelPeriodMs) * kAccelPeriodMs;
  if (!driver_) {
    wake_accelerometer(accel);
  }
  while (radar < end_ms || accel < end_ms) {
    if (radar <= accel) {
      radar_tick(radar, builder);
      radar += kMr60bha2PeriodMs;
    } else {
      accel_tick(accel, builder);
      accel += kAccelPeriodMs;
    }
  }
}

void SensorFeed::lay_breaths() {
  Random random(night_.seed ^ 0xB3EA7U);
  const double end_s = static_cast<double>(night_.breathing.size()) * kEpochS;
  double t_s = 0.0;
  while (t_s < end_s) {
    const BreathingPattern& epoch = night_.breathing[static_cast<std::size_t>(t_s / kEpochS)];
    const double rate =
        std::max(4.0, static_cast<double>(epoch.rate_per_min) *
                          (1.0 + static_cast<double>(epoch.rate_jitter) * random.normal()));
    const double scale = 1.0 + static_cast<double>(epoch.amplitude_jitter) * random.normal();
    const auto amplitude = epoch.amplitude * static_cast<float>(std::max(0.1, scale));
    breaths_.push_back({t_s, 60.0 / rate, amplitude});
    t_s += 60.0 / rate;
  }
}

void SensorFeed::lay_turns() {
  Random random(night_.seed ^ 0x7042U);
  AccelSample gravity = direction(random);
  gravity_.assign(night_.epochs(), gravity);
  for (std::size_t k = 0; k < night_.turns.size(); ++k) {
    if (night_.turns[k] != 0) {
      gravity = direction(random);
    }
    gravity_[k] = gravity;
  }
}

void SensorFeed::plan_movement(std::size_t epoch) {
  static const SwingTable table;
  if (moving_epoch_ == epoch) {
    return;
  }
  moving_epoch_ = epoch;
  movement_ = {};
  const double count = static_cast<double>(night_.motion_counts[epoch]);
  if (!(count > 0.0)) {
    return;
  }
  Random random(night_.seed ^ mix(epoch));
  const double wanted = std::ceil(count / kCountsPerMovingSecond * random.uniform(0.6, 1.4));
  const auto seconds = static_cast<std::size_t>(std::clamp(wanted, 1.0, 28.0));
  movement_.axis = direction(random);
  movement_.hertz = static_cast<float>(random.uniform(2.5, 4.0));
  movement_.first =
      static_cast<std::size_t>(random.uniform() * static_cast<double>(31 - seconds));
  std::array<double, 30> share{};
  double all = 0.0;
  for (std::size_t i = 0; i < seconds; ++i) {
    all += share[i] = random.uniform(0.5, 1.5);
  }
  for (std::size_t i = 0; i < seconds; ++i) {
    movement_.amplitude_g[movement_.first + i] =
        table.amplitude(static_cast<float>(count * share[i] / all));
  }
}

// The device was switched on a second before its first epoch.
void SensorFeed::wake_accelerometer(std::int64_t ms) {
  browned_out_ = false;
  chip_.unplug();
  if (!night_.motion_counts.empty()) {
    chip_.plug_in();
  }
  driver_ = std::make_unique<Mpu6050>(chip_);
  wake(chip_, *driver_, static_cast<std::uint32_t>(ms));
}

void SensorFeed::radar_tick(std::int64_t ms, EpochBuilder& builder) {
  using Kind = SensorFault::Kind;
  if (setup_.fault(Kind::radar_unplugged, ms) != nullptr) {
    return;
  }
  const bool swapped = setup_.fault(Kind::radar_swapped, ms) != nullptr;
  const bool seeed = (setup_.radar == RadarFamily::mr60bha2) != swapped;
  if (!seeed && ms % kR60abd1PeriodMs != 0) {
    return;
  }
  const SensorFault* frozen = setup_.fault(Kind::radar_frozen, ms);
  const std::int64_t now = frozen != nullptr ? std::llround(1000.0 * frozen->from_s) : ms;
  const Scene scene = [this](std::int64_t then) { return sight(then); };
  bytes_.clear();
  if (seeed) {
    say_as_mr60bha2(ms, scene(now), bytes_);
  } else {
    say_as_r60abd1(ms, now, scene, bytes_);
  }
  if (setup_.fault(Kind::radar_noise, ms) != nullptr) {
    bytes_ = noisy(ms, bytes_);
  }
  const auto now_ms = static_cast<std::uint32_t>(ms);
  builder.radar(now_ms, bytes_.data(), bytes_.size());
  if (listener_ != nullptr && !bytes_.empty()) {
    listener_->radar(now_ms, bytes_.data(), bytes_.size());
  }
}

Sight SensorFeed::sight(std::int64_t ms) {
  ms = std::max<std::int64_t>(ms, 0);
  const double t_s = static_cast<double>(ms) / 1000.0;
  const auto epoch = static_cast<std::size_t>(ms / kEpochMs);
  Sight seen{};
  seen.present = night_.present[epoch] != 0;
  seen.breathing = !breaths_.empty();
  if (seen.breathing) {
    const auto after = std::upper_bound(
        breaths_.begin(), breaths_.end(), t_s,
        [](double time, const Breath& breath) { return time < breath.start_s; });
    const auto index = static_cast<std::size_t>(after - breaths_.begin()) - 1;
    const Breath& breath = breaths_[index];
    const double at = (t_s - breath.start_s) / breath.length_s;
    const double part = at < 0.4 ? at / 0.8 : 0.5 + (at - 0.4) / 1.2;  // in 40 %, out 60 %
    const std::uint64_t bits = mix(night_.seed ^ static_cast<std::uint64_t>(ms) << 20U);
    seen.breath_rate = breath_rate_before(index);
    seen.chest = -0.5F * breath.amplitude * static_cast<float>(std::cos(2.0 * kPi * part)) +
                 kPhaseNoise * noise(bits);
    seen.heart = 0.1F * noise(bits >> 21U);
  }
  seen.heart_rate = heart_rate_at(t_s);
  if (setup_.fault(SensorFault::Kind::no_breathing, ms) != nullptr) {
    seen.breath_rate = 0.0F;
    seen.chest = 0.0F;
  }
  if (setup_.fault(SensorFault::Kind::presence_stuck, ms) != nullptr) {
    return {true, seen.breathing, 0.0F, 0.0F, 0.01F * seen.heart, 0.01F * seen.heart, 0.0F};
  }
  if (!seen.present) {
    return {false, seen.breathing, 0.0F, 0.0F, 0.0F, 0.0F, 0.0F};
  }
  if (!night_.motion_counts.empty()) {
    plan_movement(epoch);
    seen.movement_g = movement_.amplitude_g[static_cast<std::size_t>(ms % kEpochMs) / 1000];
  }
  return seen;
}

std::vector<std::uint8_t> SensorFeed::noisy(std::int64_t ms,
                                            const std::vector<std::uint8_t>& bytes) const {
  Random random(night_.seed ^ mix(static_cast<std::uint64_t>(ms)));
  std::vector<std::uint8_t> wrong;
  for (const std::uint8_t byte : bytes) {
    const std::uint64_t bits = random.bits();
    if ((bits & 0xFFU) < kInserted) {
      wrong.push_back(static_cast<std::uint8_t>(bits >> 8U));
    }
    const bool flipped = ((bits >> 16U) & 0xFFU) < kFlipped;
    wrong.push_back(
        static_cast<std::uint8_t>(flipped ? byte ^ (1U << ((bits >> 24U) & 7U)) : byte));
  }
  return wrong;
}

void SensorFeed::accel_tick(std::int64_t ms, EpochBuilder& builder) {
  const auto epoch = static_cast<std::size_t>(ms / kEpochMs);
  const bool recorded = !night_.motion_counts.empty();
  if (recorded && std::isnan(night_.motion_counts[epoch])) {
    return;  // nobody knows what it felt
  }
  if (recorded) {
    plan_movement(epoch);
  }
  const double in_epoch = static_cast<double>(ms % kEpochMs) / 1000.0;
  const auto second = static_cast<std::size_t>(in_epoch);
  const float amplitude = movement_.amplitude_g[second];
  const float along =
      amplitude > 0.0F
          ? amplitude * swing(in_epoch - static_cast<double>(second), movement_.hertz)
          : 0.0F;
  const std::uint64_t bits = mix(night_.seed ^ static_cast<std::uint64_t>(ms) << 16U);
  trouble_accelerometer(ms);
  chip_.feel(felt(gravity_at(epoch, in_epoch), movement_.axis, along, bits), mix(bits));
  const auto now_ms = static_cast<std::uint32_t>(ms);
  const auto sample = builder.accelerometer(now_ms, *driver_);
  if (listener_ != nullptr && sample) {
    listener_->acceleration(now_ms, *sample);
  }
}

void SensorFeed::trouble_accelerometer(std::int64_t ms) {
  using Kind = SensorFault::Kind;
  if (setup_.faults.empty()) {
    return;
  }
  if (night_.motion_counts.empty() || setup_.fault(Kind::accel_absent, ms) != nullptr) {
    chip_.unplug();
  } else {
    chip_.plug_in();
  }
  chip_.freeze(setup_.fault(Kind::accel_frozen, ms) != nullptr);
  const bool brownout = setup_.fault(Kind::accel_brownout, ms) != nullptr;
  if (brownout && !browned_out_) {
    chip_.brown_out();
  }
  browned_out_ = brownout;
}

// The newest recorded rate while it is fresh, else 0: none.
float SensorFeed::heart_rate_at(double t_s) const {
  const auto after =
      std::upper_bound(night_.heart_rate.begin(), night_.heart_rate.end(), t_s,
                       [](double time, const TimedValue& rate) { return time < rate.t_s; });
  if (after == night_.heart_rate.begin()) {
    return 0.0F;
  }
  const TimedValue& newest = *(after - 1);
  return t_s - newest.t_s <= kHeartRateFreshS ? static_cast<float>(newest.value) : 0.0F;
}

// The rate over the last breaths, as a radar smooths it; 0 until there are enough.
float SensorFeed::breath_rate_before(std::size_t breath) const {
  if (breath < kSmoothedBreaths) {
    return 0.0F;
  }
  const double length = breaths_[breath].start_s - breaths_[breath - kSmoothedBreaths].start_s;
  return static_cast<float>(60.0 * kSmoothedBreaths / length);
}

// A turn takes the first 1.5 s of the epoch's movement.
AccelSample SensorFeed::gravity_at(std::size_t epoch, double second) const {
  const AccelSample& after = gravity_[epoch];
  if (epoch == 0 || night_.turns.empty() || night_.turns[epoch] == 0) {
    return after;
  }
  const AccelSample& before = gravity_[epoch - 1];
  const double done = (second - static_cast<double>(movement_.first)) / kTurnS;
  const auto share = static_cast<float>(0.5 - 0.5 * std::cos(kPi * std::clamp(done, 0.0, 1.0)));
  const AccelSample mid{before.x + share * (after.x - before.x),
                        before.y + share * (after.y - before.y),
                        before.z + share * (after.z - before.z)};
  const float size = std::sqrt(mid.x * mid.x + mid.y * mid.y + mid.z * mid.z);
  if (size < 0.1F) {
    return after;
  }
  return {mid.x / size, mid.y / size, mid.z / size};
}

}  // namespace noctis::host
