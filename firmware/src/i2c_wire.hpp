// The I2C bus of the accelerometer.
#pragma once

#include "noctis/i2c.hpp"

namespace noctis::esp {

class I2cWire : public I2cBus {
 public:
  void begin();
  bool write(std::uint8_t address, std::uint8_t reg, std::uint8_t value) override;
  bool read(std::uint8_t address, std::uint8_t reg, std::uint8_t* to,
            std::size_t size) override;
};

}  // namespace noctis::esp
