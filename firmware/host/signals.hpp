// The sensors' signals as a table: exactly what is fed to the firmware, so that others can
// compute the features from it, or feed it signals of their own.
//
//   ms,sensor,signal
//   0,radar,01000000010f090ec701fe      bytes of the UART, in hex
//   20,accel,12,-8,16391                x, y, z of an MPU6050, 16384 a g
//
// Times are ms since the start of the first epoch and never decrease; an epoch ends every 30 s.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <string>

#include "night.hpp"
#include "noctis/epoch_builder.hpp"
#include "sensor_faults.hpp"

namespace noctis::host {

// Hears what a SensorFeed feeds.
class SensorListener {
 public:
  virtual ~SensorListener() = default;
  virtual void radar(std::uint32_t ms, const std::uint8_t* bytes, std::size_t size) = 0;
  virtual void acceleration(std::uint32_t ms, const AccelSample& sample) = 0;
};

// Prints the signals of a night. Returns 0, or 1 if `out` could not be written.
int print_signals(const Night& night, const SensorSetup& setup, std::FILE* out);

// Feeds the signals in the file to a new EpochBuilder and hands on each epoch it makes. False
// and `error` set if the file or one of its lines cannot be read; epochs before it are handed
// on.
bool read_signals(const std::string& path, const std::function<void(const Epoch&)>& take,
                  std::string& error);

}  // namespace noctis::host
