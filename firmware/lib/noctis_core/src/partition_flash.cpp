#include "noctis/partition_flash.hpp"

#include <algorithm>

#include "noctis/spool.hpp"

namespace noctis {

const char* PartitionFlash::start() {
  sound_ = false;
  if (partition_.encrypted()) {
    return "the spool's partition is encrypted: single bits of it cannot be cleared; take the "
           "flag 'encrypted' off in the partition table";
  }
  if (partition_.size() % kSectorSize != 0) {
    return "the spool's partition is no whole number of 4096-byte sectors";
  }
  if (sectors() < Spool::kMinSectors) {
    return "the spool's partition is too small: it needs 16 KiB or more";
  }
  if (sectors() > Spool::kMaxSectors) {
    return "the spool's partition is too large: it can have 8 MiB at most";
  }
  sound_ = true;
  return nullptr;
}

void PartitionFlash::read(std::uint32_t address, std::uint8_t* to, std::size_t size) {
  sound_ = sound_ && partition_.read(address, to, size);
  if (!sound_) {
    std::fill_n(to, size, std::uint8_t{0xFF});
  }
}

bool PartitionFlash::program(std::uint32_t address, const std::uint8_t* from,
                             std::size_t size) {
  return sound_ && partition_.write(address, from, size);
}

bool PartitionFlash::erase(std::uint32_t sector) {
  return sound_ && partition_.erase(sector * kSectorSize, kSectorSize);
}

}  // namespace noctis
