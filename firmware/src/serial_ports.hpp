// The radar's UART, and the USB line on which the device is claimed.
#pragma once

#include <cstddef>
#include <cstdint>

#include "noctis/provisioner.hpp"

namespace noctis::esp {

class RadarUart {
 public:
  void begin();
  // What has come, `size` bytes at most; without waiting.
  std::size_t read(std::uint8_t* to, std::size_t size);
};

class UsbLine : public Port {
 public:
  void begin();
  std::size_t read(std::uint8_t* to, std::size_t size);
  void write(const std::uint8_t* data, std::size_t size) override;
};

}  // namespace noctis::esp
