// The I2C bus of the accelerometer.
#pragma once

#include <cstddef>
#include <cstdint>

namespace noctis {

// Addresses have 7 bits. False: nobody acknowledged, or the bus is stuck. A call takes no
// longer than its bytes do on the wire.
class I2cBus {
 public:
  I2cBus() = default;
  I2cBus(const I2cBus&) = delete;
  I2cBus& operator=(const I2cBus&) = delete;
  virtual ~I2cBus() = default;

  virtual bool write(std::uint8_t address, std::uint8_t reg, std::uint8_t value) = 0;
  // Reads `size` registers from `reg` on.
  virtual bool read(std::uint8_t address, std::uint8_t reg, std::uint8_t* to,
                    std::size_t size) = 0;
};

}  // namespace noctis
