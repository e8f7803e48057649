// MPU6050 accelerometer and its kin, over I2C. Registers: InvenSense RM-MPU-6000A, revision
// 4.2, and RM-MPU-6500A for what differs there.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "noctis/health.hpp"
#include "noctis/i2c.hpp"

namespace noctis {

inline constexpr std::size_t kMpu6050BurstSize = 14;
inline constexpr float kMpu6050LsbPerG = 16384.0F;
inline constexpr std::uint32_t kAccelPeriodMs = 20;  // 50 Hz

using Mpu6050Burst = std::array<std::uint8_t, kMpu6050BurstSize>;

// Acceleration in g.
struct AccelSample {
  float x;
  float y;
  float z;
};

// Decodes a burst from register 0x3B at +-2 g (acceleration x, y, z, temperature, rotation
// x, y, z; each a big-endian int16). False if `size` is not 14, or if all three axes read 0 or
// all read -1: the sensor sleeps or the bus is dead.
bool decode_mpu6050_burst(const std::uint8_t* burst, std::size_t size, AccelSample& sample);

// The driver. Call poll() every 20 ms; it never waits. It looks for a chip at 0x68 and 0x69,
// resets and wakes it, and reads a burst a call. A chip that is lost (no acknowledgement, or
// asleep after a brown-out) or that freezes is reset at once, and if that does not help again
// after 1 s, 2 s, 4 s and so on up to 60 s.
//
// Bursts and not the FIFO: the chip samples at 200 Hz behind its own low-pass at 21 Hz, so each
// burst is a new sample on the caller's clock, and there is no overflow to recover from.
class Mpu6050 {
 public:
  // The bus must outlive the driver.
  explicit Mpu6050(I2cBus& bus) : bus_(bus) {}

  // True if there is a new sample.
  bool poll(std::uint32_t now_ms, AccelSample& sample);

  [[nodiscard]] AccelState state() const { return state_; }
  // WHO_AM_I of the chip found last: 0x68, or of a relative or clone; 0: none was found.
  [[nodiscard]] std::uint8_t id() const { return id_; }

 private:
  enum class Step : std::uint8_t { probe, configure, run };

  bool probe();
  bool configure();
  bool run(std::uint32_t now_ms, AccelSample& sample);
  void go(Step step, std::uint32_t at_ms);
  void retry(std::uint32_t now_ms, AccelState state);
  bool write(std::uint8_t reg, std::uint8_t value) { return bus_.write(address_, reg, value); }

  I2cBus& bus_;
  Step step_ = Step::probe;
  AccelState state_ = AccelState::absent;
  std::uint8_t address_ = 0x68;
  std::uint8_t id_ = 0;
  bool begun_ = false;
  std::uint32_t due_ms_ = 0;    // when the step begins
  std::uint32_t pause_ms_ = 0;  // before the next attempt
  std::uint32_t failures_ = 0;  // bursts in a row that were none
  std::uint32_t repeats_ = 0;   // of the last burst
  std::uint32_t fresh_ = 0;     // bursts since the last attempt that were new
  Mpu6050Burst last_{};
};

}  // namespace noctis
