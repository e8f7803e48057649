// Slots: the 14 bytes that an epoch or a time base takes in flash and on the wire alike.
// 13 bytes are one 104-bit little-endian number, bit 0 its kind; the 14th is their CRC-8.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "noctis/epoch.hpp"

namespace noctis {

inline constexpr std::size_t kSlotSize = 14;
using Slot = std::array<std::uint8_t, kSlotSize>;

// Why a new RUN began.
enum class RunReason : std::uint8_t {
  boot = 0,
  sector = 1,        // first slot of a new sector; nothing broke
  grid = 2,          // a break of the 30 s grid, or a slot that had to be skipped
  clock_learnt = 3,  // UTC became known
  clock_step = 4,    // UTC stepped by more than 2 s
};

// The time base of the epochs behind it: epoch seq begins at
// utc_s + 30 * (seq - the RUN's seq - 1), and likewise for tick_s.
struct Run {
  RunReason reason;
  std::uint8_t voids;      // empty seqs just before it, at most 255
  std::uint32_t boot_seq;  // counts the boots
  std::uint32_t tick_s;    // seconds since boot, 28 bits
  std::uint32_t utc_s;     // unix seconds; 0: unknown
};

Slot encode_slot(const Epoch& epoch);
Slot encode_slot(const Run& run);

bool intact(const Slot& slot);  // the CRC-8 holds
bool is_run(const Slot& slot);

// Of intact slots of that kind.
Epoch decode_epoch(const Slot& slot);
Run decode_run(const Slot& slot);

}  // namespace noctis
