#include <doctest/doctest.h>

#include "capacity.hpp"
#include "noctis/spool.hpp"

using namespace noctis;
using namespace noctis::host;

TEST_CASE("8 MiB hold at the worst moment exactly what the formula says, and all reads back") {
  MemoryNor chip(Spool::kMaxSectors);
  const Capacity capacity = measure_capacity(chip);
  CHECK(capacity.readback_ok);
  CHECK(capacity.epochs == guaranteed_epochs(Spool::kMaxSectors));
  CHECK(capacity.epochs == 570'834);
  // A boot takes two slots: a burnt one and a RUN.
  CHECK(capacity.epochs_with_daily_boots < capacity.epochs - 2 * 195);
  CHECK(capacity.epochs_with_daily_boots > capacity.epochs - 2 * 202);
}

TEST_CASE("a chip of any size holds what the formula says") {
  for (const std::uint32_t sectors : {4U, 5U, 7U, 64U}) {
    MemoryNor chip(sectors);
    const Capacity capacity = measure_capacity(chip);
    CHECK(capacity.readback_ok);
    CHECK(capacity.epochs == guaranteed_epochs(sectors));
  }
}

TEST_CASE("a chip whose programs disturb other pages reads back wrong") {
  struct Leaky : MemoryNor {
    using MemoryNor::MemoryNor;
    bool program(std::uint32_t address, const std::uint8_t* from, std::size_t size) override {
      const std::uint8_t zero = 0;
      return MemoryNor::program(address, from, size) &&
             (address % kSectorSize != 6 * kPageSize ||
              MemoryNor::program(address - kPageSize + 3, &zero, 1));
    }
  };
  Leaky chip(6);
  CHECK_FALSE(measure_capacity(chip).readback_ok);
}
