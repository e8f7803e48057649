// A NOR chip in memory that belongs to the caller, whose power can be cut in the middle of a
// write. The host's test/torn_nor.hpp is crueller; this one needs no heap.
#pragma once

#include <cstdint>
#include <cstring>

#include "noctis/flash.hpp"

namespace noctis::target {

class RamNor : public Flash {
 public:
  // `bytes` holds the sectors; they are blank from now on.
  RamNor(std::uint8_t* bytes, std::uint32_t sectors, std::uint32_t seed)
      : bytes_(bytes), sectors_(sectors), random_(seed) {
    std::memset(bytes_, 0xFF, std::size_t{sectors_} * kSectorSize);
  }

  // Power fails in the middle of the write after `writes` more.
  void cut_after(std::uint32_t writes) { writes_left_ = writes + 1; }
  void power_on() { dead_ = false; }
  bool dead() const { return dead_; }

  std::uint32_t sectors() const override { return sectors_; }
  void read(std::uint32_t address, std::uint8_t* to, std::size_t size) override {
    ++reads;
    read_bytes += static_cast<std::uint32_t>(size);
    std::memcpy(to, bytes_ + address, size);
  }
  bool program(std::uint32_t address, const std::uint8_t* from, std::size_t size) override {
    if (dead_) {
      return true;
    }
    const bool torn = cut_now();
    for (std::size_t i = 0; i < size; ++i) {
      const auto spared = static_cast<std::uint8_t>(torn ? random() & 0xFFU : 0U);
      bytes_[address + i] &= static_cast<std::uint8_t>(from[i] | spared);
    }
    return true;
  }
  bool erase(std::uint32_t sector) override {
    if (dead_) {
      return true;
    }
    const bool torn = cut_now();
    std::uint8_t* const at = bytes_ + std::size_t{sector} * kSectorSize;
    for (std::size_t i = 0; i < kSectorSize; ++i) {
      at[i] |= static_cast<std::uint8_t>(torn ? random() & 0xFFU : 0xFFU);
    }
    return true;
  }

  std::uint32_t reads = 0;
  std::uint32_t read_bytes = 0;

 private:
  bool cut_now() {
    dead_ = writes_left_ == 1;
    writes_left_ -= writes_left_ > 0 ? 1 : 0;
    return dead_;
  }
  std::uint32_t random() {  // xorshift32 (Marsaglia 2003)
    random_ ^= random_ << 13U;
    random_ ^= random_ >> 17U;
    random_ ^= random_ << 5U;
    return random_ >> 8U;
  }

  std::uint8_t* bytes_;
  std::uint32_t sectors_;
  std::uint32_t random_;
  std::uint32_t writes_left_ = 0;  // until the cut, itself included; 0: no cut
  bool dead_ = false;
};

}  // namespace noctis::target
