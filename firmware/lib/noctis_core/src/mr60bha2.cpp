#include "noctis/mr60bha2.hpp"

#include <cmath>

#include "noctis/bytes.hpp"

namespace noctis {
namespace {

using Kind = RadarReading::Kind;
using Look = FrameLook::Kind;

constexpr std::uint8_t kStart = 0x01;
constexpr std::size_t kHeader = 8;
constexpr std::size_t kFloat = 4;
constexpr float kMaxPhase = 1000.0F;

constexpr std::uint16_t kPhases = 0x0A13;
constexpr std::uint16_t kBreathRate = 0x0A14;
constexpr std::uint16_t kHeartRate = 0x0A15;
constexpr std::uint16_t kDistance = 0x0A16;
constexpr std::uint16_t kPresence = 0x0F09;

std::uint8_t check(const std::uint8_t* bytes, std::size_t size) {
  std::uint8_t parity = 0;
  for (std::size_t i = 0; i < size; ++i) {
    parity = static_cast<std::uint8_t>(parity ^ bytes[i]);
  }
  return static_cast<std::uint8_t>(~parity);
}

std::uint16_t big_endian(const std::uint8_t* bytes) {
  return static_cast<std::uint16_t>((bytes[0] << 8) | bytes[1]);
}

float little_endian_float(const std::uint8_t* bytes) {
  const std::uint32_t bits = get_u32(bytes);
  float value = 0.0F;
  static_assert(sizeof value == sizeof bits, "the radar sends IEEE 754 single precision");
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

bool read_phases(const std::uint8_t* data, std::size_t size, RadarReading& reading) {
  if (size < 3 * kFloat) {
    return false;
  }
  reading.kind = Kind::phases;
  for (std::size_t i = 0; i < 3; ++i) {
    reading.values[i] = little_endian_float(data + i * kFloat);
    if (!(std::fabs(reading.values[i]) <= kMaxPhase)) {  // so that NaN is refused
      return false;
    }
  }
  return true;
}

// A number after `skip` bytes of something else.
bool read_number(Kind kind, const std::uint8_t* data, std::size_t size, std::size_t skip,
                 RadarReading& reading) {
  if (size < skip + kFloat) {
    return false;
  }
  reading.kind = kind;
  reading.values[0] = little_endian_float(data + skip);
  return true;
}

bool read_presence(const std::uint8_t* data, std::size_t size, RadarReading& reading) {
  if (size < 1 || data[0] > 1) {
    return false;
  }
  reading.kind = Kind::presence;
  reading.values[0] = data[0] == 1 ? 1.0F : 0.0F;
  return true;
}

FrameSense sense(bool readable) { return readable ? FrameSense::reading : FrameSense::absurd; }

}  // namespace

FrameLook Mr60bha2Format::look(const std::uint8_t* bytes, std::size_t size) {
  if (bytes[0] != kStart) {
    return {Look::bad, 0};
  }
  if (size < kHeader) {
    return {Look::incomplete, kHeader};
  }
  const std::size_t data_size = big_endian(bytes + 3);
  if (data_size > kMaxData || check(bytes, kHeader - 1) != bytes[kHeader - 1]) {
    return {Look::bad, 0};
  }
  const std::size_t whole = kHeader + data_size + 1;
  if (size < whole) {
    return {Look::incomplete, whole};
  }
  const bool intact = check(bytes + kHeader, data_size) == bytes[whole - 1];
  return {intact ? Look::intact : Look::bad, whole};
}

FrameSense Mr60bha2Format::read(const std::uint8_t* frame, std::size_t size,
                                RadarReading& reading) {
  const std::uint8_t* data = frame + kHeader;
  const std::size_t data_size = size - kHeader - 1;
  const float& value = reading.values[0];
  switch (big_endian(frame + 5)) {
    case kPhases:
      return sense(read_phases(data, data_size, reading));
    case kBreathRate:
      return sense(read_number(Kind::breath_rate, data, data_size, 0, reading) &&
                   is_breath_rate(value));
    case kHeartRate:
      return sense(read_number(Kind::heart_rate, data, data_size, 0, reading) &&
                   is_heart_rate(value));
    case kDistance:  // a flag comes before it
      return sense(read_number(Kind::distance, data, data_size, kFloat, reading) &&
                   is_distance(value));
    case kPresence:
      return sense(read_presence(data, data_size, reading));
    default:
      return FrameSense::other;
  }
}

}  // namespace noctis
