#include <doctest/doctest.h>

#include "noctis/mpu6050.hpp"

using namespace noctis;

TEST_CASE("a burst is three big-endian axes at 16384 counts a g") {
  const std::uint8_t burst[14] = {0x40, 0x00,  // x: +16384, 1 g
                                  0xE0, 0x00,  // y: -8192, -0.5 g
                                  0x00, 0x01,  // z: the smallest step
                                  0xF2, 0x38,  // temperature
                                  1,    2,    3, 4, 5, 6};
  AccelSample sample{};
  REQUIRE(decode_mpu6050_burst(burst, sizeof burst, sample));
  CHECK(sample.x == 1.0F);
  CHECK(sample.y == -0.5F);
  CHECK(sample.z == 1.0F / 16384.0F);
}

TEST_CASE("both ends of an axis are read") {
  const std::uint8_t burst[14] = {0x7F, 0xFF, 0x80, 0x00};
  AccelSample sample{};
  REQUIRE(decode_mpu6050_burst(burst, sizeof burst, sample));
  CHECK(sample.x == 32767.0F / 16384.0F);
  CHECK(sample.y == -2.0F);
}

TEST_CASE("a burst of another size is refused") {
  const std::uint8_t burst[15] = {0x40, 0x00};
  AccelSample sample{};
  CHECK_FALSE(decode_mpu6050_burst(burst, 13, sample));
  CHECK_FALSE(decode_mpu6050_burst(burst, 15, sample));
}

TEST_CASE("a sleeping sensor and a dead bus are refused") {
  const std::uint8_t asleep[14] = {};
  const std::uint8_t dead[14] = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
                                 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};
  AccelSample sample{};
  CHECK_FALSE(decode_mpu6050_burst(asleep, sizeof asleep, sample));
  CHECK_FALSE(decode_mpu6050_burst(dead, sizeof dead, sample));
}
