#include "sleeper.hpp"

#include <cstring>

namespace noctis::target {
namespace {

constexpr std::int32_t kOne = 65536;

// About a sine of so many 65536ths of a turn, times 32768: two parabolas.
std::int32_t sine(std::uint32_t turn) {
  const auto x = static_cast<std::int32_t>(turn & 0x7FFFU);
  const std::int32_t half = (x * (32768 - x)) >> 13U;
  return (turn & 0x8000U) != 0 ? -half : half;
}

std::uint8_t check(const std::uint8_t* bytes, std::size_t size) {
  unsigned parity = 0xFF;
  for (std::size_t i = 0; i < size; ++i) {
    parity ^= bytes[i];
  }
  return static_cast<std::uint8_t>(parity & 0xFFU);
}

void add_frame(RadarBytes& to, std::uint16_t type, const std::uint8_t* data, std::size_t size) {
  std::uint8_t* const frame = to.bytes.data() + to.size;
  const std::uint8_t header[7] = {0x01,
                                  0,
                                  7,
                                  0,
                                  static_cast<std::uint8_t>(size),
                                  static_cast<std::uint8_t>(type >> 8U),
                                  static_cast<std::uint8_t>(type & 0xFFU)};
  std::memcpy(frame, header, sizeof header);
  frame[7] = check(header, sizeof header);
  std::memcpy(frame + 8, data, size);
  frame[8 + size] = check(data, size);
  to.size += 9 + size;
}

// Values of whole parts: a float holds each of them exactly.
template <std::size_t N>
void add_floats(RadarBytes& to, std::uint16_t type, const std::int32_t (&values)[N],
                std::int32_t part) {
  std::uint8_t data[4 * N];
  for (std::size_t i = 0; i < N; ++i) {
    const float value = static_cast<float>(values[i]) / static_cast<float>(part);
    std::uint32_t bits = 0;
    std::memcpy(&bits, &value, sizeof bits);
    for (std::size_t k = 0; k < 4; ++k) {
      data[4 * i + k] = static_cast<std::uint8_t>(bits >> (8 * k));
    }
  }
  add_frame(to, type, data, sizeof data);
}

}  // namespace

// xorshift32 (Marsaglia 2003).
std::uint32_t Sleeper::below(std::uint32_t limit) {
  random_ ^= random_ << 13U;
  random_ ^= random_ >> 17U;
  random_ ^= random_ << 5U;
  return random_ % limit;
}

std::int32_t Sleeper::noise(std::int32_t most) {
  return static_cast<std::int32_t>(below(static_cast<std::uint32_t>(2 * most + 1))) - most;
}

void Sleeper::begin_epoch(std::uint32_t number) {
  usual_breath_ms_ = 2500 + below(3500);
  heart_ = number % 11 == 10 ? 0 : static_cast<std::int32_t>(16 * 45 + below(16 * 50));
  const bool moves = number % 3 == 1;
  moves_from_ms_ = below(25000);
  moves_to_ms_ = moves ? moves_from_ms_ + 1000 + below(12000) : moves_from_ms_;
  swing_ = static_cast<std::int32_t>(100 + below(12000));
  if (moves || number == 0) {
    gravity_ = {noise(9000), noise(9000), 11000 + noise(1500)};
  }
  present_ = number % 13 != 12;
  radar_silent_ = number % 17 == 16;
  accel_silent_ = number % 19 == 18;
}

// On by one radar period; no two breaths are alike.
void Sleeper::breathe() {
  breathed_ms_ += kRadarPeriodMs;
  if (breathed_ms_ >= breath_ms_) {
    breathed_ms_ -= breath_ms_;
    breath_ms_ = usual_breath_ms_ + below(usual_breath_ms_ / 4);
    amplitude_ = static_cast<std::int32_t>(20000 + below(40000));
  }
}

RadarBytes Sleeper::radar() {
  RadarBytes out{};
  if (radar_silent_) {
    return out;
  }
  const std::uint8_t presence = present_ ? 1 : 0;
  add_frame(out, 0x0F09, &presence, 1);
  const std::int32_t beat = heart_ == 0 ? 0 : heart_ + noise(40);
  add_floats(out, 0x0A15, {beat}, 16);
  breathe();
  const std::int32_t wave = sine(breathed_ms_ * 65536U / breath_ms_);
  const std::int32_t chest = ((wave * (amplitude_ >> 6U)) >> 9U) + noise(1300);
  const std::int32_t heart = noise(6000);
  add_floats(out, 0x0A13, {chest + heart, chest, heart}, kOne);
  add_floats(out, 0x0A14, {static_cast<std::int32_t>(16 * 60000 / breath_ms_)}, 16);
  if (below(64) == 0) {
    out.bytes[below(static_cast<std::uint32_t>(out.size))] ^= 0x20;  // a bad line
  }
  return out;
}

bool Sleeper::accelerometer(std::uint32_t at_ms, Burst& burst) {
  burst = {};
  if (accel_silent_) {
    return false;
  }
  const bool moves = at_ms >= moves_from_ms_ && at_ms < moves_to_ms_;
  const std::int32_t along = moves ? (sine(at_ms * 197U) * swing_) >> 15U : 0;  // 3 Hz
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const std::int32_t raw =
        gravity_[axis] + noise(60) + (along >> static_cast<unsigned>(axis));
    const auto word = static_cast<std::uint16_t>(raw);
    burst[2 * axis] = static_cast<std::uint8_t>(word >> 8U);
    burst[2 * axis + 1] = static_cast<std::uint8_t>(word & 0xFFU);
  }
  return true;
}

}  // namespace noctis::target
