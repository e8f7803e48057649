// The command line of noctis-device.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "faults.hpp"
#include "sensor_faults.hpp"

namespace noctis::host {

struct Options {
  std::string tenant;
  std::string device;
  std::string host = "127.0.0.1";
  int port = 1883;
  std::string password_file;
  std::string nor;
  std::string log;
  std::string night;  // folder; empty: a made-up night
  std::uint64_t seed = 1;
  double hours = 8.0;
  double speed = 1.0;  // virtual seconds a second; infinity: as fast as the machine
  std::optional<double> start;
  double clock_after = 0;  // virtual seconds after boot
  bool clock_faults = false;
  bool once = false;
  bool offline = false;
  bool csv = false;          // print epochs,
  bool signals = false;      // or the sensors' signals
  std::string signals_file;  // the epochs of these instead of a night's
  int devices = 1;
  FaultRates faults;
  SensorSetup sensors;
  bool help = false;
};

extern const char* const kUsage;

// Nothing and `error` set: what was wrong and what to do.
std::optional<Options> parse_options(int argc, const char* const* argv, std::string& error);

}  // namespace noctis::host
