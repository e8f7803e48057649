// Fills a device's flash chip with epochs that nobody has got yet: what it has after a long
// time without a network.
#pragma once

#include <cstdint>
#include <string>

namespace noctis::host {

struct Fill {
  std::string tenant;
  std::string device;
  std::string nor;
  std::uint32_t epochs = 0;
  std::uint32_t end_s = 0;  // when the last one ends, unix seconds
};

// Appends made_up_epoch(0), (1), ... through the spool. On failure: why.
bool fill(const Fill& wanted, std::string& error);

// noctis-device fill --tenant T --device D --nor FILE --epochs N [--end UNIX_S]. Returns the
// exit code.
int fill_command(int argc, const char* const* argv);

}  // namespace noctis::host
