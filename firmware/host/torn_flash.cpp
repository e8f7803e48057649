#include "torn_flash.hpp"

#include <vector>

namespace noctis::host {

void TornFlash::power_on() {
  dead_ = false;
  writes_left_ = -1;
}

bool TornFlash::cut_now() {
  dead_ = writes_left_ == 0;
  writes_left_ -= writes_left_ > 0 ? 1 : 0;
  return dead_;
}

void TornFlash::read(std::uint32_t address, std::uint8_t* to, std::size_t size) {
  chip_.read(address, to, size);
}

bool TornFlash::program(std::uint32_t address, const std::uint8_t* from, std::size_t size) {
  if (dead_) {
    return true;
  }
  if (cut_now()) {
    tear_program(address, from, size);
    return true;
  }
  return chip_.program(address, from, size);
}

bool TornFlash::erase(std::uint32_t sector) {
  if (dead_) {
    return true;
  }
  if (cut_now()) {
    tear_erase(sector);
    return true;
  }
  return chip_.erase(sector);
}

// The first bytes are programmed; of the rest each bit with the same chance.
void TornFlash::tear_program(std::uint32_t address, const std::uint8_t* from,
                             std::size_t size) {
  const std::size_t whole = random_.bits() % (size + 1);
  const double share = random_.uniform();
  std::array<std::uint8_t, kPageSize> bits{};
  for (std::size_t i = 0; i < size; ++i) {
    std::uint8_t spared = 0;
    for (unsigned bit = 0; i >= whole && bit < 8; ++bit) {
      spared |= static_cast<std::uint8_t>(random_.chance(share) ? 0U : 1U << bit);
    }
    bits[i] = from[i] | spared;
  }
  chip_.program(address, bits.data(), size);
}

// Nothing happened yet, or bits are cleared (a chip programs a sector to zero before it erases
// it), or a part of the bits has risen, or it is erased.
void TornFlash::tear_erase(std::uint32_t sector) {
  const unsigned how = random_.bits() % 4;
  if (how == 0) {
    return;
  }
  const std::uint32_t begin = sector * kSectorSize;
  std::vector<std::uint8_t> left(kSectorSize);
  chip_.read(begin, left.data(), left.size());
  for (std::uint8_t& bits : left) {
    const std::uint8_t random = byte();
    bits = how == 1 ? bits & random : how == 2 ? bits | random : 0xFF;
  }
  if (how != 1) {
    chip_.erase(sector);
  }
  for (std::uint32_t at = 0; at < kSectorSize; at += kPageSize) {
    chip_.program(begin + at, &left[at], kPageSize);
  }
}

}  // namespace noctis::host
