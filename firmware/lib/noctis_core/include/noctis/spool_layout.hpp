// Where things are in a sector of the spool. SPOOL.md explains every byte.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "noctis/slot.hpp"

namespace noctis::layout {

inline constexpr std::uint32_t kSlotsPerSector = 280;
inline constexpr std::uint32_t kHeaderSize = 46;
inline constexpr std::uint32_t kBitmapSize = 35;
inline constexpr std::uint32_t kValidOffset = kHeaderSize;
inline constexpr std::uint32_t kDoneOffset = kValidOffset + kBitmapSize;
inline constexpr std::uint32_t kFirstSlotOffset = kDoneOffset + kBitmapSize;
inline constexpr std::uint32_t kSlotsInFirstPage = 10;
inline constexpr std::uint32_t kSlotsInPage = 18;

// Where a slot begins within its sector. No slot crosses a page.
constexpr std::uint32_t slot_offset(std::uint32_t slot) {
  constexpr auto size = static_cast<std::uint32_t>(kSlotSize);
  if (slot < kSlotsInFirstPage) {
    return kFirstSlotOffset + slot * size;
  }
  const std::uint32_t behind = slot - kSlotsInFirstPage;
  return 256 * (1 + behind / kSlotsInPage) + size * (behind % kSlotsInPage);
}

struct SectorHeader {
  std::uint64_t stream;
  std::uint32_t owner;
  std::uint32_t sector_no;
  std::uint32_t chip;
};

using HeaderBytes = std::array<std::uint8_t, kHeaderSize>;
HeaderBytes encode_header(const SectorHeader& header);
// Nothing if the bytes are not an intact header of this version.
std::optional<SectorHeader> decode_header(const std::uint8_t* bytes);

// One bit a slot; 0 says valid, or done.
using Bitmap = std::array<std::uint8_t, kBitmapSize>;
inline bool cleared(const Bitmap& bitmap, std::uint32_t slot) {
  return ((static_cast<unsigned>(bitmap[slot / 8]) >> (slot % 8)) & 1U) == 0;
}
inline void clear(Bitmap& bitmap, std::uint32_t slot) {
  bitmap[slot / 8] &= static_cast<std::uint8_t>(~(1U << (slot % 8)));
}

// The part of a sector in front of its slots.
struct SectorHead {
  HeaderBytes header;
  Bitmap valid;
  Bitmap done;
};
static_assert(sizeof(SectorHead) == kFirstSlotOffset, "read from flash in one piece");

}  // namespace noctis::layout
