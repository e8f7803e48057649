#include "spi_bus.hpp"

#include <Arduino.h>
#include <SPI.h>

#include "pins.hpp"

namespace noctis::esp {
namespace {

constexpr std::uint32_t kHertz = 20'000'000;  // wires of some centimetres bear it
constexpr std::uint32_t kTickUs = 1000;

}  // namespace

void SpiBus::begin() {
  pinMode(NOCTIS_SPI_CS, OUTPUT);
  digitalWrite(NOCTIS_SPI_CS, HIGH);
  SPI.begin(NOCTIS_SPI_SCK, NOCTIS_SPI_MISO, NOCTIS_SPI_MOSI, -1);
}

void SpiBus::transfer(const std::uint8_t* out, std::size_t out_size, std::uint8_t* in,
                      std::size_t in_size) {
  SPI.beginTransaction(SPISettings(kHertz, MSBFIRST, SPI_MODE0));
  digitalWrite(NOCTIS_SPI_CS, LOW);
  if (out_size > 0) {
    SPI.writeBytes(out, out_size);
  }
  if (in_size > 0) {
    SPI.transferBytes(nullptr, in, in_size);
  }
  digitalWrite(NOCTIS_SPI_CS, HIGH);
  SPI.endTransaction();
}

// An erase takes a while: others run meanwhile.
void SpiBus::wait_us(std::uint32_t us) {
  if (us >= kTickUs) {
    delay((us + kTickUs - 1) / kTickUs);
  } else {
    delayMicroseconds(us);
  }
}

}  // namespace noctis::esp
