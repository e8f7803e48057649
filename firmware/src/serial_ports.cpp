#include "serial_ports.hpp"

#include <Arduino.h>

#include <algorithm>

#include "pins.hpp"

namespace noctis::esp {
namespace {

constexpr unsigned long kBaud = 115'200;
// What comes while a sector is erased (400 ms at most), and as much again.
constexpr std::size_t kRadarBuffer = 8192;
constexpr std::size_t kUsbBuffer = 1024;

// `Serial` is a UART, or the USB of an S3: another class.
template <typename Source>
std::size_t read_from(Source& source, std::uint8_t* to, std::size_t size) {
  std::size_t count = 0;
  while (count < size && source.available() > 0) {
    to[count++] = static_cast<std::uint8_t>(source.read());
  }
  return count;
}

}  // namespace

void RadarUart::begin() {
  Serial1.setRxBufferSize(kRadarBuffer);  // counts from the next begin() on
  Serial1.begin(kBaud, SERIAL_8N1, NOCTIS_RADAR_RX, NOCTIS_RADAR_TX);
}

std::size_t RadarUart::read(std::uint8_t* to, std::size_t size) {
  return read_from(Serial1, to, size);
}

void UsbLine::begin() {
  Serial.setRxBufferSize(kUsbBuffer);
  Serial.begin(kBaud);
}

std::size_t UsbLine::read(std::uint8_t* to, std::size_t size) {
  return read_from(Serial, to, size);
}

void UsbLine::write(const std::uint8_t* data, std::size_t size) { Serial.write(data, size); }

}  // namespace noctis::esp
