#include "noctis/mpu6050.hpp"

namespace noctis {
namespace {

std::int16_t big_endian(const std::uint8_t* bytes) {
  return static_cast<std::int16_t>(static_cast<std::uint16_t>((bytes[0] << 8) | bytes[1]));
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

}  // namespace noctis
