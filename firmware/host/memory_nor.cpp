#include "memory_nor.hpp"

#include <algorithm>

namespace noctis::host {

MemoryNor::MemoryNor(std::uint32_t sectors)
    : bytes_(std::size_t{sectors} * kSectorSize, std::uint8_t{0xFF}) {}

std::uint32_t MemoryNor::sectors() const {
  return static_cast<std::uint32_t>(bytes_.size() / kSectorSize);
}

// How many of the bytes of a write the power lasts for.
std::size_t MemoryNor::powered(std::size_t size) {
  if (!writes_left_) {
    return size;
  }
  const int left = (*writes_left_)--;
  return left > 0 ? size : left == 0 ? size / 2 : 0;
}

void MemoryNor::read(std::uint32_t address, std::uint8_t* to, std::size_t size) {
  std::copy_n(&bytes_[address], size, to);
}

bool MemoryNor::program(std::uint32_t address, const std::uint8_t* from, std::size_t size) {
  const std::size_t done = powered(size);
  for (std::size_t i = 0; i < done; ++i) {
    bytes_[address + i] &= from[i];
  }
  return true;
}

bool MemoryNor::erase(std::uint32_t sector) {
  std::fill_n(&bytes_[std::size_t{sector} * kSectorSize], powered(kSectorSize),
              std::uint8_t{0xFF});
  return true;
}

}  // namespace noctis::host
