#include "mpu6050_chip.hpp"

#include <algorithm>
#include <cmath>

namespace noctis::host {
namespace {

constexpr std::size_t kAccelConfig = 0x1C;
constexpr std::size_t kMeasured = 0x3B;
constexpr std::size_t kPower = 0x6B;
constexpr std::size_t kWhoAmI = 0x75;
constexpr std::uint8_t kReset = 0x80;
constexpr std::uint8_t kSleep = 0x40;

std::uint16_t count_of(float g, float counts_per_g) {
  const float raw = std::clamp(g * counts_per_g, -32768.0F, 32767.0F);
  return static_cast<std::uint16_t>(static_cast<std::int16_t>(std::lrint(raw)));
}

}  // namespace

Mpu6050Chip::Mpu6050Chip(std::uint8_t id, std::uint8_t address) : id_(id), address_(address) {
  reset();
}

void Mpu6050Chip::feel(const AccelSample& acceleration, std::uint64_t noise) {
  if (!awake() || frozen_) {
    return;
  }
  const unsigned range = (registers_[kAccelConfig] >> 3U) & 3U;
  const float counts_per_g = kMpu6050LsbPerG / static_cast<float>(1U << range);
  const std::uint16_t words[] = {count_of(acceleration.x, counts_per_g),
                                 count_of(acceleration.y, counts_per_g),
                                 count_of(acceleration.z, counts_per_g),
                                 static_cast<std::uint16_t>(noise & 31U),  // temperature
                                 static_cast<std::uint16_t>((noise >> 5U) & 63U),
                                 static_cast<std::uint16_t>((noise >> 11U) & 63U),
                                 static_cast<std::uint16_t>((noise >> 17U) & 63U)};
  std::size_t at = kMeasured;
  for (const std::uint16_t word : words) {
    registers_[at++] = static_cast<std::uint8_t>(word >> 8U);
    registers_[at++] = static_cast<std::uint8_t>(word & 0xFFU);
  }
}

void Mpu6050Chip::unplug() {
  plugged_ = false;
  reset();
}

void Mpu6050Chip::plug_in() { plugged_ = true; }

bool Mpu6050Chip::write(std::uint8_t address, std::uint8_t reg, std::uint8_t value) {
  if (!plugged_ || address != address_ || reg >= registers_.size()) {
    return false;
  }
  if (reg == kPower && (value & kReset) != 0) {
    reset();
  } else if (reg != kWhoAmI) {
    registers_[reg] = value;
  }
  return true;
}

bool Mpu6050Chip::read(std::uint8_t address, std::uint8_t reg, std::uint8_t* to,
                       std::size_t size) {
  if (!plugged_ || address != address_ || reg + size > registers_.size()) {
    return false;
  }
  std::copy_n(registers_.begin() + reg, size, to);
  return true;
}

// A frozen chip's measurement survives even that.
void Mpu6050Chip::reset() {
  const auto measured = registers_;
  registers_ = {};
  if (frozen_) {
    std::copy_n(measured.begin() + kMeasured, kMpu6050BurstSize,
                registers_.begin() + kMeasured);
  }
  registers_[kPower] = kSleep;
  registers_[kWhoAmI] = id_;
}

bool Mpu6050Chip::awake() const { return plugged_ && (registers_[kPower] & kSleep) == 0; }

}  // namespace noctis::host
