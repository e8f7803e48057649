#include "noctis/mr60bha2.hpp"

#include <cmath>
#include <cstring>

namespace noctis {
namespace {

constexpr std::uint8_t kStart = 0x01;
constexpr std::size_t kFloat = 4;

constexpr std::uint16_t kPhases = 0x0A13;
constexpr std::uint16_t kBreathRate = 0x0A14;
constexpr std::uint16_t kHeartRate = 0x0A15;
constexpr std::uint16_t kDistance = 0x0A16;
constexpr std::uint16_t kPresence = 0x0F09;

// What a frame may say before it is refused as absurd. A rate of 0 means "none".
constexpr float kMaxPhase = 1000.0F;
constexpr float kMinBreathRate = 2.0F;
constexpr float kMaxBreathRate = 60.0F;
constexpr float kMinHeartRate = 20.0F;
constexpr float kMaxHeartRate = 250.0F;
constexpr float kMaxDistance = 1000.0F;

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
  const std::uint32_t bits =
      static_cast<std::uint32_t>(bytes[0]) | static_cast<std::uint32_t>(bytes[1]) << 8 |
      static_cast<std::uint32_t>(bytes[2]) << 16 | static_cast<std::uint32_t>(bytes[3]) << 24;
  float value = 0.0F;
  static_assert(sizeof value == sizeof bits, "the radar sends IEEE 754 single precision");
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

// All of these are false for NaN.
bool is_rate(float value, float low, float high) {
  return value == 0.0F || (value >= low && value <= high);
}

bool read_phases(const std::uint8_t* data, std::size_t size, RadarReading& reading) {
  if (size < 3 * kFloat) {
    return false;
  }
  reading.kind = RadarReading::Kind::phases;
  for (std::size_t i = 0; i < 3; ++i) {
    reading.values[i] = little_endian_float(data + i * kFloat);
    if (!(std::fabs(reading.values[i]) <= kMaxPhase)) {
      return false;
    }
  }
  return true;
}

bool read_rate(RadarReading::Kind kind, const std::uint8_t* data, std::size_t size,
               RadarReading& reading) {
  if (size < kFloat) {
    return false;
  }
  reading.kind = kind;
  reading.values[0] = little_endian_float(data);
  return kind == RadarReading::Kind::heart_rate
             ? is_rate(reading.values[0], kMinHeartRate, kMaxHeartRate)
             : is_rate(reading.values[0], kMinBreathRate, kMaxBreathRate);
}

bool read_distance(const std::uint8_t* data, std::size_t size, RadarReading& reading) {
  if (size < 2 * kFloat) {
    return false;
  }
  reading.kind = RadarReading::Kind::distance;
  reading.values[0] = little_endian_float(data + kFloat);
  return reading.values[0] >= 0.0F && reading.values[0] <= kMaxDistance;
}

bool read_presence(const std::uint8_t* data, std::size_t size, RadarReading& reading) {
  if (size < 1 || data[0] > 1) {
    return false;
  }
  reading.kind = RadarReading::Kind::presence;
  reading.values[0] = data[0] == 1 ? 1.0F : 0.0F;
  return true;
}

bool is_known(std::uint16_t type) {
  return type == kPhases || type == kBreathRate || type == kHeartRate || type == kDistance ||
         type == kPresence;
}

}  // namespace

void Mr60bha2Parser::push(std::uint8_t byte) {
  if (size_ == kCapacity) {
    drop(1);  // the caller did not ask next() until it said false
  }
  bytes_[size_++] = byte;
}

bool Mr60bha2Parser::next(RadarReading& reading) {
  while (size_ > 0) {
    const Look found = look();
    if (found == Look::incomplete) {
      return false;
    }
    if (found == Look::bad) {
      ++skipped_bytes_;
      drop(1);
      continue;
    }
    ++frames_;
    const bool known = is_known(big_endian(&bytes_[5]));
    const bool readable = known && decode(reading);
    drop(kHeader + data_size_ + 1);
    if (readable) {
      return true;
    }
    if (known) {
      ++refused_;
    }
  }
  return false;
}

Mr60bha2Parser::Look Mr60bha2Parser::look() {
  if (bytes_[0] != kStart) {
    return Look::bad;
  }
  if (size_ < needed_) {
    return Look::incomplete;
  }
  if (needed_ == kHeader) {
    data_size_ = big_endian(&bytes_[3]);
    if (data_size_ > kMaxData || check(bytes_.data(), kHeader - 1) != bytes_[kHeader - 1]) {
      return Look::bad;
    }
    needed_ = kHeader + data_size_ + 1;
    if (size_ < needed_) {
      return Look::incomplete;
    }
  }
  const bool intact = check(&bytes_[kHeader], data_size_) == bytes_[kHeader + data_size_];
  return intact ? Look::good : Look::bad;
}

void Mr60bha2Parser::drop(std::size_t count) {
  std::memmove(bytes_.data(), bytes_.data() + count, size_ - count);
  size_ -= count;
  needed_ = kHeader;
}

bool Mr60bha2Parser::decode(RadarReading& reading) const {
  const std::uint8_t* data = &bytes_[kHeader];
  reading.values = {0.0F, 0.0F, 0.0F};
  switch (big_endian(&bytes_[5])) {
    case kPhases:
      return read_phases(data, data_size_, reading);
    case kBreathRate:
      return read_rate(RadarReading::Kind::breath_rate, data, data_size_, reading);
    case kHeartRate:
      return read_rate(RadarReading::Kind::heart_rate, data, data_size_, reading);
    case kDistance:
      return read_distance(data, data_size_, reading);
    case kPresence:
      return read_presence(data, data_size_, reading);
    default:
      return false;
  }
}

}  // namespace noctis
