// What the device knows of its sensors: said in its status, felt in its epochs' quality.
#pragma once

#include <cstdint>

namespace noctis {

enum class RadarFamily : std::uint8_t { unknown, mr60bha2, r60abd1 };

enum class RadarState : std::uint8_t {
  silent,  // no frame: unplugged, or of another speed
  ok,
  frozen,          // repeats what it said long ago
  presence_stuck,  // reports a person who neither breathes nor moves
};

enum class AccelState : std::uint8_t { absent, ok, frozen };

struct Health {
  RadarFamily family = RadarFamily::unknown;
  RadarState radar = RadarState::silent;
  AccelState accel = AccelState::absent;
  std::uint8_t accel_id = 0;  // WHO_AM_I, 0: none was read

  bool operator==(const Health& other) const {
    return family == other.family && radar == other.radar && accel == other.accel &&
           accel_id == other.accel_id;
  }
  bool operator!=(const Health& other) const { return !(*this == other); }
};

// The words of the status JSON.
const char* name_of(RadarFamily family);
const char* name_of(RadarState state);
const char* name_of(AccelState state);

}  // namespace noctis
