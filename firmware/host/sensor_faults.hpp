// What may go wrong with a device's sensors in a night.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "noctis/health.hpp"

namespace noctis::host {

struct SensorFault {
  enum class Kind : std::uint8_t {
    radar_unplugged,
    radar_frozen,    // repeats what it said at the beginning of the fault
    radar_noise,     // bytes of the UART are wrong or too many
    radar_swapped,   // a module of the other family is on the UART
    no_breathing,    // the radar finds a heartbeat, and neither breath nor its wave
    presence_stuck,  // someone is said to be there, without breath or heartbeat
    accel_absent,    // off the bus and without power
    accel_frozen,
    accel_brownout,  // falls asleep, once at the beginning of the fault
  };
  Kind kind;
  double from_s;  // of the night
  double to_s;
};

// KIND@FROM-TO, in seconds of the night. Nothing if it is none.
std::optional<SensorFault> parse_sensor_fault(const std::string& text);

// What its text must be, for messages.
extern const char* const kSensorFaultForm;

// What is on a device's UART, and what happens to its sensors.
struct SensorSetup {
  RadarFamily radar = RadarFamily::mr60bha2;
  std::vector<SensorFault> faults;

  // The fault of that kind at a moment of the night, if there is one.
  [[nodiscard]] const SensorFault* fault(SensorFault::Kind kind, std::int64_t ms) const;
};

}  // namespace noctis::host
