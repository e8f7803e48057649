// Signals with known answers, as the sensors would say them.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <initializer_list>
#include <vector>

#include "noctis/epoch_builder.hpp"
#include "noctis/quantise.hpp"

namespace noctis::test {

inline constexpr double kTwoPi = 6.283185307179586;

// A function of the time in seconds.
using Signal = std::function<double(double)>;

inline std::vector<std::uint8_t> radar_frame(std::uint16_t type,
                                             const std::vector<std::uint8_t>& data) {
  const auto check = [](const std::vector<std::uint8_t>& bytes) {
    unsigned parity = 0xFF;
    for (const std::uint8_t byte : bytes) {
      parity ^= byte;
    }
    return static_cast<std::uint8_t>(parity);
  };
  std::vector<std::uint8_t> frame = {0x01,
                                     0x12,
                                     0x34,
                                     0x00,
                                     static_cast<std::uint8_t>(data.size()),
                                     static_cast<std::uint8_t>(type >> 8U),
                                     static_cast<std::uint8_t>(type & 0xFFU)};
  frame.push_back(check(frame));
  frame.insert(frame.end(), data.begin(), data.end());
  frame.push_back(check(data));
  return frame;
}

inline std::vector<std::uint8_t> floats(std::initializer_list<double> values) {
  std::vector<std::uint8_t> data;
  for (const double value : values) {
    const auto single = static_cast<float>(value);
    std::uint32_t bits = 0;
    std::memcpy(&bits, &single, sizeof bits);
    for (unsigned shift = 0; shift < 32; shift += 8) {
      data.push_back(static_cast<std::uint8_t>(bits >> shift));
    }
  }
  return data;
}

// Plays signals into a builder epoch by epoch. A signal that is not set says nothing; one that
// returns NaN says nothing at that moment.
struct Bench {
  Signal heart_rate;
  Signal breath_rate;
  Signal breath_phase;
  Signal presence;
  std::function<AccelSample(double)> acceleration;

  EpochBuilder builder{RadarFamily::mr60bha2};
  std::uint32_t now_ms = 0;

  Epoch epoch() {
    const std::uint32_t end_ms = now_ms + kEpochMs;
    if (!begun_) {
      builder.begin(now_ms);
      begun_ = true;
    }
    for (; now_ms != end_ms; now_ms += 5) {
      const double t_s = elapsed_ms_ / 1000.0;
      if (elapsed_ms_ % 125 == 0) {
        radar(t_s);
      }
      if (elapsed_ms_ % 20 == 0 && acceleration) {
        builder.acceleration(now_ms, acceleration(t_s));
      }
      elapsed_ms_ += 5;
    }
    return builder.finish(now_ms);
  }
  double value(Feature feature) { return dequantise(feature, epoch().codes[feature]); }

 private:
  void send(std::uint16_t type, const std::vector<std::uint8_t>& data) {
    const auto frame = radar_frame(type, data);
    builder.radar(now_ms, frame.data(), frame.size());
  }
  void say(std::uint16_t type, const Signal& signal, double t_s) {
    if (signal && !std::isnan(signal(t_s))) {
      send(type, floats({signal(t_s)}));
    }
  }
  void radar(double t_s) {
    if (presence && !std::isnan(presence(t_s))) {
      send(0x0F09, {static_cast<std::uint8_t>(presence(t_s))});
    }
    if (breath_phase && !std::isnan(breath_phase(t_s))) {
      send(0x0A13, floats({0.0, breath_phase(t_s), 0.0}));
    }
    say(0x0A15, heart_rate, t_s);
    say(0x0A14, breath_rate, t_s);
  }

  std::uint32_t elapsed_ms_ = 0;
  bool begun_ = false;
};

inline Signal constant(double value) {
  return [value](double) { return value; };
}

inline bool is_missing(const Epoch& epoch, Feature feature) {
  return epoch.codes[feature] == missing_code(feature);
}

}  // namespace noctis::test
