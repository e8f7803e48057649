#include "noctis/r60abd1.hpp"

namespace noctis {
namespace {

using Kind = RadarReading::Kind;
using Look = FrameLook::Kind;

constexpr std::uint8_t kStart[] = {0x53, 0x59};
constexpr std::uint8_t kEnd[] = {0x54, 0x43};
constexpr std::size_t kHeader = 6;
constexpr std::size_t kTrailer = 3;

constexpr std::uint16_t kPresence = 0x8001;
constexpr std::uint16_t kMovement = 0x8003;
constexpr std::uint16_t kDistance = 0x8004;
constexpr std::uint16_t kBreathRate = 0x8102;
constexpr std::uint16_t kBreathWave = 0x8105;
constexpr std::uint16_t kHeartRate = 0x8502;

constexpr std::uint8_t kMostMovement = 100;
constexpr int kMiddle = 128;                    // of the wave
constexpr float kRadPerCount = 1.0F / 1000.0F;  // by convention: the module gives no unit

std::uint16_t big_endian(const std::uint8_t* bytes) {
  return static_cast<std::uint16_t>((bytes[0] << 8) | bytes[1]);
}

std::uint8_t sum(const std::uint8_t* bytes, std::size_t size) {
  unsigned total = 0;
  for (std::size_t i = 0; i < size; ++i) {
    total += bytes[i];
  }
  return static_cast<std::uint8_t>(total & 0xFFU);
}

bool read_wave(const std::uint8_t* data, std::size_t size, RadarReading& reading) {
  if (size < reading.values.size()) {
    return false;
  }
  reading.kind = Kind::breath_wave;
  for (std::size_t i = 0; i < reading.values.size(); ++i) {
    reading.values[i] = static_cast<float>(data[i] - kMiddle) * kRadPerCount;
  }
  return true;
}

bool read_distance(const std::uint8_t* data, std::size_t size, RadarReading& reading) {
  if (size < 2) {
    return false;
  }
  reading.kind = Kind::distance;
  reading.values[0] = big_endian(data);
  return is_distance(reading.values[0]);
}

bool read_byte(Kind kind, const std::uint8_t* data, std::size_t size, std::uint8_t most,
               RadarReading& reading) {
  if (size < 1 || data[0] > most) {
    return false;
  }
  reading.kind = kind;
  reading.values[0] = data[0];
  return true;
}

FrameSense sense(bool readable) { return readable ? FrameSense::reading : FrameSense::absurd; }

}  // namespace

FrameLook R60abd1Format::look(const std::uint8_t* bytes, std::size_t size) {
  if (bytes[0] != kStart[0] || (size > 1 && bytes[1] != kStart[1])) {
    return {Look::bad, 0};
  }
  if (size < kHeader) {
    return {Look::incomplete, size < 2 ? 2 : kHeader};
  }
  const std::size_t data_size = big_endian(bytes + 4);
  if (data_size > kMaxData) {
    return {Look::bad, 0};
  }
  const std::size_t whole = kHeader + data_size + kTrailer;
  if (size < whole) {
    return {Look::incomplete, whole};
  }
  const std::uint8_t* trailer = bytes + kHeader + data_size;
  const bool intact = trailer[0] == sum(bytes, kHeader + data_size) && trailer[1] == kEnd[0] &&
                      trailer[2] == kEnd[1];
  return {intact ? Look::intact : Look::bad, whole};
}

FrameSense R60abd1Format::read(const std::uint8_t* frame, std::size_t size,
                               RadarReading& reading) {
  constexpr std::uint8_t any = 0xFF;
  const std::uint8_t* data = frame + kHeader;
  const std::size_t data_size = size - kHeader - kTrailer;
  const float& value = reading.values[0];
  switch (big_endian(frame + 2)) {
    case kPresence:
      return sense(read_byte(Kind::presence, data, data_size, 1, reading));
    case kMovement:
      return sense(read_byte(Kind::movement, data, data_size, kMostMovement, reading));
    case kBreathRate:
      return sense(read_byte(Kind::breath_rate, data, data_size, any, reading) &&
                   is_breath_rate(value));
    case kHeartRate:
      return sense(read_byte(Kind::heart_rate, data, data_size, any, reading) &&
                   is_heart_rate(value));
    case kBreathWave:
      return sense(read_wave(data, data_size, reading));
    case kDistance:
      return sense(read_distance(data, data_size, reading));
    default:
      return FrameSense::other;
  }
}

}  // namespace noctis
