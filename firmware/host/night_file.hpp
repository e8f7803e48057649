// The file beside the flash chip that remembers which night is being played, and how far.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace noctis::host {

// Where in the night the device is: at `place_s`, plus 30 s for each epoch that the spool holds
// from `seq` on.
struct NightMark {
  std::string night;  // which: the folder, or the seed and hours
  double start_s;     // unix seconds
  std::uint32_t seq;
  double place_s;
};

// Nothing if there is no such file or it cannot be read.
std::optional<NightMark> load_mark(const std::string& path);
// Replaces the file in one step.
bool save_mark(const std::string& path, const NightMark& mark);

}  // namespace noctis::host
