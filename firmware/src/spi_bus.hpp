// The SPI bus of a W25Q64: the one that the board's pins are meant for.
#pragma once

#include "noctis/w25q64.hpp"

namespace noctis::esp {

class SpiBus : public Spi {
 public:
  void begin();
  void transfer(const std::uint8_t* out, std::size_t out_size, std::uint8_t* in,
                std::size_t in_size) override;
  void wait_us(std::uint32_t us) override;
};

}  // namespace noctis::esp
