// A night as the table of epochs that the platform would see of it.
#pragma once

#include <cstdio>
#include <string>

#include "night.hpp"
#include "sensor_faults.hpp"

namespace noctis::host {

// Prints `t_s,stage,in_bed,<features>`, one row an epoch, values dequantised from the codes, an
// empty field where missing. Returns 0, or 1 if `out` could not be written.
int print_csv(const Night& night, const SensorSetup& setup, std::FILE* out);

// The same of the signals in a file (signals.hpp), without stages; `error` is set if it cannot
// be read.
int print_csv_of_signals(const std::string& path, std::FILE* out, std::string& error);

}  // namespace noctis::host
