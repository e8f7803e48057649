// A flash chip whose power can fail in the middle of a write.
#pragma once

#include <array>
#include <cstdint>

#include "noctis/flash.hpp"
#include "random.hpp"

namespace noctis::host {

// A write that is cut leaves a random part of its bits done, for good. Behind it the device is
// dead: it takes every write and does none, until the power is back. Bits that read differently
// each time are not here: the tests of the spool have them.
class TornFlash : public Flash {
 public:
  // The chip must outlive it.
  TornFlash(Flash& chip, std::uint64_t seed) : chip_(chip), random_(seed) {}

  // Power fails in the middle of the write after `writes` more.
  void cut_after(int writes) { writes_left_ = writes; }
  void power_on();
  bool dead() const { return dead_; }

  std::uint32_t sectors() const override { return chip_.sectors(); }
  void read(std::uint32_t address, std::uint8_t* to, std::size_t size) override;
  bool program(std::uint32_t address, const std::uint8_t* from, std::size_t size) override;
  bool erase(std::uint32_t sector) override;

 private:
  bool cut_now();
  std::uint8_t byte() { return static_cast<std::uint8_t>(random_.bits() & 0xFFU); }
  void tear_program(std::uint32_t address, const std::uint8_t* from, std::size_t size);
  void tear_erase(std::uint32_t sector);

  Flash& chip_;
  Random random_;
  int writes_left_ = -1;  // -1: no cut to come
  bool dead_ = false;
};

}  // namespace noctis::host
