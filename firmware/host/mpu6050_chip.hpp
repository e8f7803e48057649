// An MPU6050 as the driver meets it: registers behind an I2C bus of its own.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "noctis/mpu6050.hpp"

namespace noctis::host {

class Mpu6050Chip : public I2cBus {
 public:
  explicit Mpu6050Chip(std::uint8_t id = 0x68, std::uint8_t address = 0x68);

  // What it measures from now on: an acceleration in g; its other sensors show these noise
  // bits.
  void feel(const AccelSample& acceleration, std::uint64_t noise);
  // Off the bus, and without power.
  void unplug();
  void plug_in();
  // The power sags: it stays on the bus, but asleep.
  void brown_out() { reset(); }
  // A frozen chip keeps its last measurement.
  void freeze(bool frozen) { frozen_ = frozen; }

  bool write(std::uint8_t address, std::uint8_t reg, std::uint8_t value) override;
  bool read(std::uint8_t address, std::uint8_t reg, std::uint8_t* to,
            std::size_t size) override;

 private:
  void reset();
  [[nodiscard]] bool awake() const;

  std::array<std::uint8_t, 128> registers_{};
  std::uint8_t id_;
  std::uint8_t address_;
  bool plugged_ = true;
  bool frozen_ = false;
};

}  // namespace noctis::host
