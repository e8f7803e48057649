#include "radar_module.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace noctis::host {
namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::int64_t kRatePeriodMs = 3000;
constexpr std::int64_t kSignOfLifeMs = 60000;
constexpr std::int64_t kWaveStepMs = 200;
constexpr float kCountsPerRad = 100.0F;
constexpr float kLeastHeartRate = 60.0F;  // the module clamps what it finds
constexpr float kMostHeartRate = 120.0F;
constexpr std::uint8_t kCm = 80;

std::uint8_t high(std::uint16_t v) { return static_cast<std::uint8_t>(v >> 8U); }
std::uint8_t low(std::uint16_t v) { return static_cast<std::uint8_t>(v & 0xFFU); }

// The complement of the XOR of all bytes from there on.
std::uint8_t parity(const Bytes& bytes, std::size_t from) {
  unsigned check = 0xFF;
  for (std::size_t i = from; i < bytes.size(); ++i) {
    check ^= bytes[i];
  }
  return static_cast<std::uint8_t>(check);
}

class Mr60bha2 {
 public:
  Mr60bha2(std::int64_t ms, Bytes& bytes)
      : bytes_(bytes), id_(static_cast<std::uint16_t>(ms / kMr60bha2PeriodMs)) {}

  void say(std::uint16_t type, const std::uint8_t* data, std::size_t size) {
    const std::size_t header = bytes_.size();
    for (const std::uint8_t byte : {std::uint8_t{1}, high(id_), low(id_), std::uint8_t{0},
                                    static_cast<std::uint8_t>(size), high(type), low(type)}) {
      bytes_.push_back(byte);
    }
    bytes_.push_back(parity(bytes_, header));
    const std::size_t begin = bytes_.size();
    bytes_.insert(bytes_.end(), data, data + size);
    bytes_.push_back(parity(bytes_, begin));
  }
  template <std::size_t N>
  void say(std::uint16_t type, const std::array<float, N>& values) {
    std::uint8_t data[4 * N];
    for (std::size_t i = 0; i < N; ++i) {
      std::uint32_t bits = 0;
      std::memcpy(&bits, &values[i], sizeof bits);
      for (std::size_t k = 0; k < 4; ++k) {
        data[4 * i + k] = static_cast<std::uint8_t>(bits >> (8 * k));
      }
    }
    say(type, data, sizeof data);
  }

 private:
  Bytes& bytes_;
  std::uint16_t id_;
};

class R60abd1 {
 public:
  explicit R60abd1(Bytes& bytes) : bytes_(bytes) {}

  template <std::size_t N>
  void say(std::uint16_t kind, const std::array<std::uint8_t, N>& data) {
    const std::size_t begin = bytes_.size();
    for (const std::uint8_t byte : {std::uint8_t{0x53}, std::uint8_t{0x59}, high(kind),
                                    low(kind), std::uint8_t{0}, std::uint8_t{N}}) {
      bytes_.push_back(byte);
    }
    bytes_.insert(bytes_.end(), data.begin(), data.end());
    unsigned sum = 0;
    for (std::size_t i = begin; i < bytes_.size(); ++i) {
      sum += bytes_[i];
    }
    bytes_.push_back(static_cast<std::uint8_t>(sum & 0xFFU));
    bytes_.push_back(0x54);
    bytes_.push_back(0x43);
  }
  void say(std::uint16_t kind, float value) {
    say<1>(kind, {static_cast<std::uint8_t>(std::lrint(std::clamp(value, 0.0F, 255.0F)))});
  }

 private:
  Bytes& bytes_;
};

std::uint8_t wave_count(float phase) {
  return static_cast<std::uint8_t>(
      std::lrint(std::clamp(128.0F + kCountsPerRad * phase, 0.0F, 255.0F)));
}

}  // namespace

void say_as_mr60bha2(std::int64_t ms, const Sight& sight, Bytes& bytes) {
  Mr60bha2 module(ms, bytes);
  const std::uint8_t presence = sight.present ? 1 : 0;
  module.say(0x0F09, &presence, 1);
  module.say<1>(0x0A15, {sight.heart_rate});
  if (sight.breathing) {
    module.say<3>(0x0A13, {sight.chest + sight.heart, sight.chest, sight.heart});
    module.say<1>(0x0A14, {sight.breath_rate});
  }
}

// Nobody there: it says so once, and falls silent but for its sign of life.
void say_as_r60abd1(std::int64_t ms, std::int64_t now, const Scene& scene, Bytes& bytes) {
  R60abd1 module(bytes);
  const Sight sight = scene(now);
  const bool changed = ms == 0 || sight.present != scene(now - kR60abd1PeriodMs).present;
  if (changed) {
    module.say(0x8001, sight.present ? 1.0F : 0.0F);
  }
  if (ms % kSignOfLifeMs == 0) {
    module.say(0x0101, 15.0F);
  }
  if (!sight.present && !changed) {
    return;
  }
  const float moving = sight.movement_g > 0.0F ? 1.0F + 100.0F * sight.movement_g : 0.0F;
  module.say(0x8003, sight.present ? 1.0F + std::min(99.0F, moving) : 0.0F);
  module.say<2>(0x8004, {0, kCm});
  if (sight.breathing) {
    std::array<std::uint8_t, 5> breath{};
    std::array<std::uint8_t, 5> heart{};
    for (std::size_t i = 0; i < breath.size(); ++i) {
      const auto back = static_cast<std::int64_t>(breath.size() - 1 - i) * kWaveStepMs;
      const Sight then = scene(now - back);
      breath[i] = wave_count(then.chest);
      heart[i] = wave_count(then.heart);
    }
    module.say(0x8105, breath);
    module.say(0x8505, heart);
  }
  if (changed || ms % kRatePeriodMs == 0) {
    const float bpm = std::clamp(sight.heart_rate, kLeastHeartRate, kMostHeartRate);
    module.say(0x8502, sight.heart_rate > 0.0F ? bpm : 0.0F);
    if (sight.breathing) {
      module.say(0x8102, sight.breath_rate);
    }
  }
}

}  // namespace noctis::host
