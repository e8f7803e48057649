#include "sensors.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "random.hpp"

namespace noctis::host {
namespace {

constexpr double kPi = 3.141592653589793;
constexpr std::int64_t kRadarPeriodMs = 125;
constexpr double kHeartRateFreshS = 15.0;  // recordings pause for 5 to 10 s
constexpr std::size_t kSmoothedBreaths = 4;
constexpr float kPhaseNoise = 0.02F;  // rad

constexpr float kNoiseG = 0.0023F;  // MPU6050: 0.4 mg per root Hz behind its 21 Hz filter
constexpr double kCountsPerMovingSecond = 8.0;
constexpr double kTurnS = 1.5;

// MR60BHA2 frames of one moment.
class RadarFrames {
 public:
  explicit RadarFrames(std::int64_t tick) : id_(static_cast<std::uint16_t>(tick)) {}

  void add(std::uint16_t type, const std::uint8_t* data, std::size_t size) {
    std::uint8_t* const frame = bytes_.data() + size_;
    const std::uint8_t header[7] = {
        0x01, high(id_), low(id_), 0, static_cast<std::uint8_t>(size), high(type), low(type)};
    std::memcpy(frame, header, sizeof header);
    frame[7] = check(header, sizeof header);
    std::memcpy(frame + 8, data, size);
    frame[8 + size] = check(data, size);
    size_ += 9 + size;
  }
  template <std::size_t N>
  void add_floats(std::uint16_t type, const std::array<float, N>& values) {
    std::uint8_t data[4 * N];
    for (std::size_t i = 0; i < N; ++i) {
      std::uint32_t bits = 0;
      std::memcpy(&bits, &values[i], sizeof bits);
      for (std::size_t k = 0; k < 4; ++k) {
        data[4 * i + k] = static_cast<std::uint8_t>(bits >> (8 * k));
      }
    }
    add(type, data, sizeof data);
  }
  [[nodiscard]] const std::uint8_t* data() const { return bytes_.data(); }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  static std::uint8_t high(std::uint16_t v) { return static_cast<std::uint8_t>(v >> 8U); }
  static std::uint8_t low(std::uint16_t v) { return static_cast<std::uint8_t>(v & 0xFFU); }
  static std::uint8_t check(const std::uint8_t* bytes, std::size_t size) {
    unsigned parity = 0;
    for (std::size_t i = 0; i < size; ++i) {
      parity ^= bytes[i];
    }
    return static_cast<std::uint8_t>(~parity & 0xFFU);
  }

  std::array<std::uint8_t, 128> bytes_{};
  std::size_t size_ = 0;
  std::uint16_t id_;
};

// About normal, with variance 1: the sum of three uniform numbers of 7 bits.
float noise(std::uint64_t bits) {
  const auto sum = (bits & 127U) + ((bits >> 7U) & 127U) + ((bits >> 14U) & 127U);
  return (static_cast<float>(sum) - 190.5F) / 64.0F;
}

std::array<std::uint8_t, kMpu6050BurstSize> burst_of(const AccelSample& sample) {
  const float axes[3] = {sample.x, sample.y, sample.z};
  std::array<std::uint8_t, kMpu6050BurstSize> burst{};
  for (std::size_t i = 0; i < 3; ++i) {
    const float raw = std::clamp(axes[i] * kMpu6050LsbPerG, -32768.0F, 32767.0F);
    const auto word = static_cast<std::uint16_t>(static_cast<std::int16_t>(std::lrint(raw)));
    burst[2 * i] = static_cast<std::uint8_t>(word >> 8U);
    burst[2 * i + 1] = static_cast<std::uint8_t>(word & 0xFFU);
  }
  return burst;
}

// What the sensor at rest in `gravity` reads on top of an acceleration along an axis.
AccelSample sense(const AccelSample& gravity, const AccelSample& axis, float along,
                  std::uint64_t bits) {
  const AccelSample felt{gravity.x + axis.x * along + kNoiseG * noise(bits),
                         gravity.y + axis.y * along + kNoiseG * noise(bits >> 21U),
                         gravity.z + axis.z * along + kNoiseG * noise(bits >> 42U)};
  const auto burst = burst_of(felt);
  AccelSample sample{};
  decode_mpu6050_burst(burst.data(), burst.size(), sample);
  return sample;
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
    for (std::uint32_t i = 0; i < 1500; ++i) {
      const double in_second = (i % 50) / 50.0;
      const float along = (i / 50) % 3 == 1 ? amplitude_g * swing(in_second, 3.0F) : 0.0F;
      const AccelSample sample = sense({0.0F, 0.0F, 1.0F}, {0.8F, 0.6F, 0.0F}, along, mix(i));
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

SensorFeed::SensorFeed(const Night& night, SensorListener* listener)
    : night_(night), listener_(listener) {
  lay_breaths();
  lay_turns();
}

void SensorFeed::play(double from_s, double to_s, EpochBuilder& builder) {
  const double end_s = std::min(to_s, static_cast<double>(night_.epochs()) * kEpochS);
  const std::int64_t end_ms = std::llround(end_s * 1000.0);
  std::int64_t radar = first_tick(from_s, kRadarPeriodMs) * kRadarPeriodMs;
  std::int64_t accel = first_tick(from_s, kAccelPeriodMs) * kAccelPeriodMs;
  while (radar < end_ms || accel < end_ms) {
    if (radar <= accel) {
      radar_tick(radar, static_cast<std::size_t>(radar / kEpochMs), builder);
      radar += kRadarPeriodMs;
    } else {
      accel_tick(accel, static_cast<std::size_t>(accel / kEpochMs), builder);
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
  moving_epoch_ = epoch;
  movement_ = {};
  const double count = static_cast<double>(night_.motion_counts[epoch]);
  if (count <= 0.0) {
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

void SensorFeed::radar_tick(std::int64_t ms, std::size_t epoch, EpochBuilder& builder) const {
  const double t_s = static_cast<double>(ms) / 1000.0;
  const bool present = night_.present[epoch] != 0;
  RadarFrames frames(ms / kRadarPeriodMs);
  const std::uint8_t presence = present ? 1 : 0;
  frames.add(0x0F09, &presence, 1);
  frames.add_floats<1>(0x0A15, {present ? heart_rate_at(t_s) : 0.0F});
  if (!breaths_.empty()) {
    const auto after = std::upper_bound(
        breaths_.begin(), breaths_.end(), t_s,
        [](double time, const Breath& breath) { return time < breath.start_s; });
    const auto index = static_cast<std::size_t>(after - breaths_.begin()) - 1;
    const Breath& breath = breaths_[index];
    const double at = (t_s - breath.start_s) / breath.length_s;
    const double part = at < 0.4 ? at / 0.8 : 0.5 + (at - 0.4) / 1.2;  // in 40 %, out 60 %
    const float wave =
        -0.5F * breath.amplitude * static_cast<float>(std::cos(2.0 * kPi * part));
    const std::uint64_t bits = mix(night_.seed ^ static_cast<std::uint64_t>(ms) << 20U);
    const float chest = present ? wave + kPhaseNoise * noise(bits) : 0.0F;
    const float heart = present ? 0.1F * noise(bits >> 21U) : 0.0F;
    frames.add_floats<3>(0x0A13, {chest + heart, chest, heart});
    frames.add_floats<1>(0x0A14, {present ? breath_rate_before(index) : 0.0F});
  }
  builder.radar(static_cast<std::uint32_t>(ms), frames.data(), frames.size());
  if (listener_ != nullptr) {
    listener_->radar(static_cast<std::uint32_t>(ms), frames.data(), frames.size());
  }
}

void SensorFeed::accel_tick(std::int64_t ms, std::size_t epoch, EpochBuilder& builder) {
  if (night_.motion_counts.empty() || std::isnan(night_.motion_counts[epoch])) {
    return;
  }
  if (moving_epoch_ != epoch) {
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
  const AccelSample sample = sense(gravity_at(epoch, in_epoch), movement_.axis, along, bits);
  builder.acceleration(static_cast<std::uint32_t>(ms), sample);
  if (listener_ != nullptr) {
    listener_->acceleration(static_cast<std::uint32_t>(ms), sample);
  }
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
