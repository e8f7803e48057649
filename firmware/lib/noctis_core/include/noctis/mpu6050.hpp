// MPU6050 accelerometer: the 14-byte burst from register 0x3B at +-2 g.
#pragma once

#include <cstddef>
#include <cstdint>

namespace noctis {

inline constexpr std::size_t kMpu6050BurstSize = 14;
inline constexpr float kMpu6050LsbPerG = 16384.0F;
inline constexpr std::uint32_t kAccelPeriodMs = 20;  // 50 Hz

// Acceleration in g.
struct AccelSample {
  float x;
  float y;
  float z;
};

// Decodes a burst (acceleration x, y, z, temperature, rotation x, y, z; each a big-endian
// int16). False if `size` is not 14, or if all three axes read 0 or all read -1: the sensor
// sleeps or the bus is dead.
bool decode_mpu6050_burst(const std::uint8_t* burst, std::size_t size, AccelSample& sample);

}  // namespace noctis
