// How much the spool holds, measured: a whole chip is filled through the real spool over
// several laps, its power cut at the worst moment, and every epoch read back.
#pragma once

#include <cstdint>

#include "memory_nor.hpp"
#include "noctis/epoch.hpp"
#include "noctis/spool_layout.hpp"

namespace noctis::host {

struct Capacity {
  std::uint32_t epochs;  // that are there at the worst moment of a device that never reboots
  std::uint32_t epochs_with_daily_boots;
  bool readback_ok;  // each time all that had to be there was, unchanged, and nothing else
};

// What a chip of that many sectors is sure to hold: all but the gap and the sector just begun,
// and of each sector all but its RUN.
constexpr std::uint32_t guaranteed_epochs(std::uint32_t sectors) {
  return (sectors - 2) * (layout::kSlotsPerSector - 1);
}

// Epoch `number` of the fill, counted from 0, so that any reader can tell what should be there.
Epoch made_up_epoch(std::uint32_t number);

// Fills the chip, which must be blank, and leaves it as the last power cut did. Says on stderr
// what it does and what is wrong.
Capacity measure_capacity(MemoryNor& chip);

// noctis-device capacity [--json] [--image FILE]. Returns the exit code.
int capacity_command(int argc, const char* const* argv);

}  // namespace noctis::host
