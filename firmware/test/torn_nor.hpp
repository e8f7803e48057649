// A NOR chip whose power can be cut in the middle of a program or an erase. A cut leaves any
// subset of the bits programmed, some of them unstable: they read differently each time, until
// they are programmed or erased for good.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "noctis/flash.hpp"

namespace noctis::test {

// How a cut write is left.
enum class Tear : std::uint8_t {
  random,      // any of the below, and mixtures
  nothing,     // it did not begin
  all,         // it was just done
  first_half,  // of its bytes
  some_bits,   // a random half of its bits, some of the others unstable
  weak,        // nothing is certain: a few unstable bits, or an erase that only reads blank
};

class TornNor : public Flash {
 public:
  // The bits of the chip, to go back to.
  struct Contents {
    std::vector<std::uint8_t> bits;
    std::vector<std::uint8_t> unstable;
    bool any_unstable;
  };

  TornNor(std::uint32_t sectors, std::uint64_t seed)
      : sectors_(sectors),
        bits_(sectors * kSectorSize, 0xFF),
        unstable_(sectors * kSectorSize, 0),
        random_(seed) {}

  // Power fails in the middle of the write after `writes` more.
  void cut_after(long writes) { writes_left_ = writes; }
  // Power is back: what was cut stays as it is.
  void power_on() {
    dead_ = false;
    writes_left_ = -1;
  }
  bool dead() const { return dead_; }
  void tear_as(Tear tear) { tear_ = tear; }
  Contents contents() const { return {bits_, unstable_, any_unstable_}; }
  void restore(const Contents& contents) {
    bits_ = contents.bits;
    unstable_ = contents.unstable;
    any_unstable_ = contents.any_unstable;
    power_on();
  }

  std::uint32_t sectors() const override { return sectors_; }
  void read(std::uint32_t address, std::uint8_t* to, std::size_t size) override {
    ++reads;
    read_bytes += static_cast<long>(size);
    std::memcpy(to, &bits_[address], size);
    if (misread_next >= address && misread_next < address + size) {
      to[misread_next - address] ^= 0x10;
      misread_next = kNothing;
    }
    for (std::size_t i = 0; any_unstable_ && i < size; ++i) {
      if (unstable_[address + i] != 0) {
        to[i] ^= static_cast<std::uint8_t>(byte() & unstable_[address + i]);
      }
    }
  }
  bool program(std::uint32_t address, const std::uint8_t* from, std::size_t size) override {
    REQUIRE(address % kPageSize + size <= kPageSize);
    if (dead_ || refuses) {
      return dead_;
    }
    ++programs;
    if (cut_now()) {
      tear_program(address, from, size);
      return true;
    }
    for (std::size_t i = 0; i < size; ++i) {
      if (address + i >= stuck_from && address + i < stuck_to) {
        continue;
      }
      bits_[address + i] &= from[i];
      unstable_[address + i] &= from[i];
    }
    return true;
  }
  bool erase(std::uint32_t sector) override {
    REQUIRE(sector < sectors_);
    if (dead_ || refuses || refuses_erase) {
      return dead_;
    }
    ++erases;
    if (cut_now()) {
      tear_erase(sector * kSectorSize);
      return true;
    }
    std::fill_n(bits_.begin() + sector * kSectorSize, kSectorSize, 0xFF);
    std::fill_n(unstable_.begin() + sector * kSectorSize, kSectorSize, 0);
    return true;
  }

  // Bits that come and go from now on.
  void make_unstable(std::uint32_t address, std::uint8_t bits) {
    unstable_[address] |= bits;
    any_unstable_ = true;
  }

  // Rot: bits that change by themselves.
  std::uint8_t& byte_at(std::uint32_t address) { return bits_[address]; }

  long reads = 0, read_bytes = 0, programs = 0, erases = 0;
  static constexpr std::uint32_t kNothing = 0xFFFFFFFF;
  std::uint32_t misread_next = kNothing;  // address of a byte that comes wrong once
  bool refuses = false;                   // takes no program and no erase
  bool refuses_erase = false;
  std::uint32_t stuck_from = 0, stuck_to = 0;  // worn bytes that take no program

 private:
  unsigned byte() { return static_cast<unsigned>(random_() & 0xFFU); }
  unsigned below(unsigned limit) { return static_cast<unsigned>(random_() % limit); }

  bool cut_now() {
    if (writes_left_ < 0 || writes_left_-- > 0) {
      return false;
    }
    dead_ = any_unstable_ = true;
    return true;
  }

  void leave_unstable(std::size_t at, std::uint8_t bit) {
    if ((bits_[at] & bit) != 0) {
      unstable_[at] |= bit;
    }
  }
  void settle(std::size_t at, std::uint8_t bit) {
    bits_[at] &= static_cast<std::uint8_t>(~bit);
    unstable_[at] &= static_cast<std::uint8_t>(~bit);
  }

  void tear_program(std::uint32_t address, const std::uint8_t* from, std::size_t size) {
    // 0: the first bytes; 1: random bits; 2: the first bytes, then random bits;
    // 3: only a few weak bits; 4: all but a few weak bits
    unsigned mode = below(5);
    unsigned share = below(257);
    auto bytes = below(static_cast<unsigned>(size) + 1);
    switch (tear_) {
      case Tear::nothing:
        return;
      case Tear::all:
        mode = 0, bytes = static_cast<unsigned>(size);
        break;
      case Tear::first_half:
        mode = 0, bytes = static_cast<unsigned>(size) / 2;
        break;
      case Tear::some_bits:
        mode = 1, share = 128;
        break;
      case Tear::weak:
        mode = 3;
        break;
      case Tear::random:
        break;
    }
    const unsigned weak_one = below(12);
    unsigned count = 0;
    for (unsigned i = 0; i < size; ++i) {
      for (unsigned b = 0; b < 8; ++b) {
        const auto bit = static_cast<std::uint8_t>(1U << b);
        if ((from[i] & bit) != 0) {
          continue;
        }
        if (mode >= 3) {
          const bool weak = count++ == weak_one || below(64) == 0;
          if (weak) {
            leave_unstable(address + i, bit);
          } else if (mode == 4) {
            settle(address + i, bit);
          }
          continue;
        }
        const bool done = mode == 0   ? i < bytes
                          : mode == 1 ? byte() < share
                                      : i < bytes || byte() < share / 2;
        if (done) {
          settle(address + i, bit);
        } else if (tear_ != Tear::first_half && below(3) == 0) {
          leave_unstable(address + i, bit);
        }
      }
    }
  }

  void tear_erase(std::uint32_t address) {
    unsigned mode = below(4);
    const unsigned share = below(257);
    std::size_t size = kSectorSize;
    switch (tear_) {
      case Tear::nothing:
        return;
      case Tear::first_half:
        size /= 2;
        [[fallthrough]];
      case Tear::all:
        std::fill_n(bits_.begin() + address, size, 0xFF);
        std::fill_n(unstable_.begin() + address, size, 0);
        return;
      case Tear::some_bits:
        mode = 1;
        break;
      case Tear::weak:
        mode = 2;
        break;
      case Tear::random:
        break;
    }
    for (std::size_t i = address; i < address + size; ++i) {
      const std::uint8_t old = bits_[i];
      const auto risen = static_cast<std::uint8_t>(old | byte());
      switch (mode) {
        case 0:  // zeroing before the erase
          bits_[i] = byte() < share ? 0 : old;
          break;
        case 1:  // bits rising
          bits_[i] = risen;
          unstable_[i] |= static_cast<std::uint8_t>(~old & static_cast<int>(byte()));
          break;
        case 2:  // reads blank, but weak
          bits_[i] = 0xFF;
          unstable_[i] = below(8) == 0 ? risen : 0;
          break;
        default:
          bits_[i] = byte() < share ? risen : old;
      }
    }
  }

  std::uint32_t sectors_;
  std::vector<std::uint8_t> bits_;
  std::vector<std::uint8_t> unstable_;
  std::mt19937_64 random_;
  long writes_left_ = -1;
  bool dead_ = false;
  bool any_unstable_ = false;
  Tear tear_ = Tear::random;
};

}  // namespace noctis::test
