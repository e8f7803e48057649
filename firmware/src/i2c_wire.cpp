#include "i2c_wire.hpp"

#include <Wire.h>

#include "pins.hpp"

namespace noctis::esp {
namespace {

constexpr std::uint32_t kHertz = 400'000;
constexpr std::uint16_t kTimeoutMs = 5;  // a burst of 14 bytes takes 0.4 ms

}  // namespace

void I2cWire::begin() {
  Wire.begin(NOCTIS_I2C_SDA, NOCTIS_I2C_SCL, kHertz);
  Wire.setTimeOut(kTimeoutMs);
}

bool I2cWire::write(std::uint8_t address, std::uint8_t reg, std::uint8_t value) {
  Wire.beginTransmission(address);
  Wire.write(reg);
  Wire.write(value);
  return Wire.endTransmission() == 0;
}

bool I2cWire::read(std::uint8_t address, std::uint8_t reg, std::uint8_t* to, std::size_t size) {
  Wire.beginTransmission(address);
  Wire.write(reg);
  if (Wire.endTransmission(false) != 0) {
    return false;
  }
  // A width that both generations of the library have one overload for.
  const std::uint16_t wide = address;
  return Wire.requestFrom(wide, size, true) == size && Wire.readBytes(to, size) == size;
}

}  // namespace noctis::esp
