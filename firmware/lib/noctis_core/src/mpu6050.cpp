#include "noctis/mpu6050.hpp"

#include <algorithm>
#include <iterator>

namespace noctis {
namespace {

constexpr std::uint8_t kSampleRateDivider = 0x19;
constexpr std::uint8_t kConfig = 0x1A;
constexpr std::uint8_t kAccelConfig = 0x1C;
constexpr std::uint8_t kAccelConfig2 = 0x1D;
constexpr std::uint8_t kBurst = 0x3B;
constexpr std::uint8_t kPower = 0x6B;
constexpr std::uint8_t kWhoAmI = 0x75;

constexpr std::uint8_t kReset = 0x80;
constexpr std::uint8_t kAwake = 0x01;     // on the clock of a gyroscope: the more stable one
constexpr std::uint8_t kLowPass21Hz = 4;  // and so 1 kHz inside
constexpr std::uint8_t kDivideBy5 = 4;    // 200 Hz
constexpr std::uint8_t kRange2G = 0;

constexpr std::uint8_t kAddresses[] = {0x68, 0x69};
constexpr std::uint8_t kMpu6050Id = 0x68;
// MPU6500, 9250, its like, 9255, 6515; numbers that modules sold as MPU6050 gave; ICM-20689.
constexpr std::uint8_t kOtherIds[] = {0x70, 0x71, 0x72, 0x73, 0x74, 0x75, 0x98};

constexpr std::uint32_t kResetMs = 100;
constexpr std::uint32_t kStartMs = 50;
constexpr std::uint32_t kMaxFailures = 5;     // 100 ms
constexpr std::uint32_t kFrozenRepeats = 50;  // 1 s of one burst: a live chip has noise
constexpr std::uint32_t kFreshEnough = 50;    // for the next fault to be a new one
constexpr std::uint32_t kLeastPauseMs = 1000;
constexpr std::uint32_t kMostPauseMs = 60000;

std::int16_t big_endian(const std::uint8_t* bytes) {
  return static_cast<std::int16_t>(static_cast<std::uint16_t>((bytes[0] << 8) | bytes[1]));
}

bool is_known(std::uint8_t id) {
  return id == kMpu6050Id ||
         std::find(std::begin(kOtherIds), std::end(kOtherIds), id) != std::end(kOtherIds);
}

}  // namespace

bool decode_mpu6050_burst(const std::uint8_t* burst, std::size_t size, AccelSample& sample) {
  if (size != kMpu6050BurstSize) {
    return false;
  }
  const std::int16_t x = big_endian(burst);
  const std::int16_t y = big_endian(burst + 2);
  const std::int16_t z = big_endian(burst + 4);
  if (x == y && y == z && (x == 0 || x == -1)) {
    return false;
  }
  sample = {static_cast<float>(x) / kMpu6050LsbPerG, static_cast<float>(y) / kMpu6050LsbPerG,
            static_cast<float>(z) / kMpu6050LsbPerG};
  return true;
}

bool Mpu6050::poll(std::uint32_t now_ms, AccelSample& sample) {
  if (!begun_) {
    begun_ = true;
    due_ms_ = now_ms;
  }
  if (static_cast<std::int32_t>(now_ms - due_ms_) < 0) {
    return false;
  }
  if (step_ == Step::run) {
    due_ms_ = now_ms;  // so that it never looks like the future when the clock wraps
    return run(now_ms, sample);
  }
  const bool probing = step_ == Step::probe;
  if (!(probing ? probe() : configure())) {
    retry(now_ms, AccelState::absent);
  } else if (probing) {
    go(Step::configure, now_ms + kResetMs);
  } else {
    go(Step::run, now_ms + kStartMs);
  }
  return false;
}

// Finds a chip and resets it: after a brown-out its registers may hold anything.
bool Mpu6050::probe() {
  for (const std::uint8_t address : kAddresses) {
    std::uint8_t id = 0;
    if (bus_.read(address, kWhoAmI, &id, 1) && is_known(id)) {
      address_ = address;
      id_ = id;
      return write(kPower, kReset);
    }
  }
  return false;
}

bool Mpu6050::configure() {
  std::uint8_t power = 0;
  return write(kPower, kAwake) && write(kConfig, kLowPass21Hz) &&
         write(kSampleRateDivider, kDivideBy5) && write(kAccelConfig, kRange2G) &&
         // The later chips have the accelerometer's low-pass in a register of its own.
         (id_ == kMpu6050Id || write(kAccelConfig2, kLowPass21Hz)) &&
         bus_.read(address_, kPower, &power, 1) && power == kAwake;
}

bool Mpu6050::run(std::uint32_t now_ms, AccelSample& sample) {
  Mpu6050Burst burst{};
  AccelSample felt{};
  if (!bus_.read(address_, kBurst, burst.data(), burst.size()) ||
      !decode_mpu6050_burst(burst.data(), burst.size(), felt)) {
    if (++failures_ >= kMaxFailures) {
      retry(now_ms, AccelState::absent);
    }
    return false;
  }
  failures_ = 0;
  if (burst == last_) {
    if (++repeats_ >= kFrozenRepeats) {
      retry(now_ms, AccelState::frozen);
      return false;
    }
  } else {
    repeats_ = 0;
    last_ = burst;
    if (++fresh_ >= kFreshEnough) {
      pause_ms_ = 0;
    }
  }
  state_ = AccelState::ok;
  sample = felt;
  return true;
}

void Mpu6050::go(Step step, std::uint32_t at_ms) {
  step_ = step;
  due_ms_ = at_ms;
}

void Mpu6050::retry(std::uint32_t now_ms, AccelState state) {
  state_ = state;
  failures_ = 0;
  fresh_ = 0;
  go(Step::probe, now_ms + pause_ms_);
  pause_ms_ = pause_ms_ == 0 ? kLeastPauseMs : std::min(2 * pause_ms_, kMostPauseMs);
}

}  // namespace noctis
