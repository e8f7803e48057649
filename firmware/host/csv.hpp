// A night as the table of epochs that the platform would see of it.
#pragma once

#include <cstdio>

#include "night.hpp"

namespace noctis::host {

// Prints `t_s,stage,in_bed,<features>`, one row an epoch, values dequantised from the codes, an
// empty field where missing. Returns 0, or 1 if `out` could not be written.
int print_csv(const Night& night, std::FILE* out);

}  // namespace noctis::host
