// The drivers under the spool: a W25Q64 on SPI and a partition of the ESP32's own flash.
#include <doctest/doctest.h>

#include <cstring>
#include <vector>

#include "emulated_w25q64.hpp"
#include "noctis/partition_flash.hpp"
#include "noctis/w25q64.hpp"
#include "spool_torture.hpp"

using namespace noctis;
using namespace noctis::test;

namespace {

struct Board {
  TornNor cells{8, 1};
  EmulatedW25q64 chip{cells};
  W25q64 driver{chip, 8};

  std::uint8_t byte(std::uint32_t address) {
    std::uint8_t value = 0;
    driver.read(address, &value, 1);
    return value;
  }
};

struct PartitionInMemory : Partition {
  explicit PartitionInMemory(std::uint32_t bytes, bool is_encrypted = false)
      : cells(std::max(bytes / Flash::kSectorSize, 1U), 3),
        bytes_(bytes),
        encrypted_(is_encrypted) {}
  std::uint32_t size() const override { return bytes_; }
  bool encrypted() const override { return encrypted_; }
  bool read(std::uint32_t offset, std::uint8_t* to, std::size_t size) override {
    cells.read(offset, to, size);
    return !broken;
  }
  bool write(std::uint32_t offset, const std::uint8_t* from, std::size_t size) override {
    return cells.program(offset, from, size);
  }
  bool erase(std::uint32_t offset, std::size_t size) override {
    REQUIRE(offset % Flash::kSectorSize == 0);
    REQUIRE(size == Flash::kSectorSize);
    return cells.erase(offset / Flash::kSectorSize);
  }
  TornNor cells;
  bool broken = false;

 private:
  std::uint32_t bytes_;
  bool encrypted_;
};

}  // namespace

TEST_CASE("the driver tells which chip it found and why it will not use one") {
  Board board;
  CHECK(board.driver.start() == W25q64::Start::ready);
  CHECK(board.driver.jedec_id() == 0xEF4017);
  board.chip.id = {0xEF, 0x40, 0x16};  // 4 MiB
  CHECK(board.driver.start() == W25q64::Start::wrong_chip);
  board.chip.id = {0xEF, 0x40, 0x17};
  board.chip.status1 = 0x04;
  CHECK(board.driver.start() == W25q64::Start::locked);
  board.chip.status1 = 0;
  board.chip.status2 = 0x40;
  CHECK(board.driver.start() == W25q64::Start::locked);
  board.chip.status2 = 0;
  board.chip.unplugged = true;
  CHECK(board.driver.start() == W25q64::Start::absent);
  CHECK_FALSE(board.driver.sound());
  CHECK_FALSE(board.driver.erase(0));
}

TEST_CASE("a chip in power-down is woken and one that still erases is waited for") {
  Board board;
  board.chip.asleep = true;
  CHECK(board.driver.start() == W25q64::Start::ready);
  board.chip.erase_us = 600'000;
  CHECK(board.driver.erase(0));  // the processor is reset while it goes on
  W25q64 after_reset(board.chip, 8);
  CHECK(after_reset.start() == W25q64::Start::ready);
  board.chip.erase_us = 60'000'000;
  CHECK(after_reset.erase(0));
  CHECK(after_reset.start() == W25q64::Start::busy);
}

TEST_CASE("before start the driver writes nothing") {
  Board board;
  const std::uint8_t byte = 0;
  CHECK_FALSE(board.driver.program(0, &byte, 1));
  CHECK_FALSE(board.driver.erase(0));
  CHECK(board.cells.programs + board.cells.erases == 0);
}

TEST_CASE("programs clear bits, an erase sets a sector, both are waited for") {
  Board board;
  REQUIRE(board.driver.start() == W25q64::Start::ready);
  const std::uint8_t first = 0xF3;
  const std::uint8_t second = 0x3F;
  CHECK(board.driver.program(4096 + 255, &first, 1));
  CHECK(board.driver.program(4096 + 255, &second, 1));
  CHECK(board.byte(4096 + 255) == 0x33);
  CHECK(board.byte(4096 + 254) == 0xFF);
  CHECK(board.chip.now_us >= 2 * board.chip.program_us);
  CHECK(board.driver.erase(1));
  CHECK(board.byte(4096 + 255) == 0xFF);
  CHECK(board.chip.now_us >= board.chip.erase_us);
}

TEST_CASE("no program crosses a page and no erase leaves the spool's sectors") {
  Board board;
  REQUIRE(board.driver.start() == W25q64::Start::ready);
  const std::uint8_t two[2] = {0, 0};
  CHECK_FALSE(board.driver.program(255, two, 2));
  CHECK(board.byte(0) == 0xFF);  // where a chip would have wrapped to
  CHECK(board.driver.program(254, two, 2));
  CHECK_FALSE(board.driver.erase(8));
}

TEST_CASE(
    "a write that the chip did not begin is reported, one that lasts too long has begun") {
  Board board;
  REQUIRE(board.driver.start() == W25q64::Start::ready);
  const std::uint8_t zero = 0;
  board.chip.write_protected = true;
  CHECK_FALSE(board.driver.program(0, &zero, 1));
  CHECK_FALSE(board.driver.erase(0));
  board.chip.write_protected = false;
  board.chip.program_us = 20'000;  // worn out: seven times the datasheet's maximum
  CHECK(board.driver.program(0, &zero, 1));
  CHECK(board.byte(0) == 0);  // the read waits for its end
  CHECK(board.driver.sound());
}

TEST_CASE("once a read got no answer, nothing is written until the chip was started again") {
  Board board;
  REQUIRE(board.driver.start() == W25q64::Start::ready);
  board.chip.unplugged = true;
  CHECK(board.byte(0) == 0xFF);
  board.chip.unplugged = false;
  const std::uint8_t zero = 0;
  CHECK_FALSE(board.driver.sound());
  CHECK_FALSE(board.driver.program(0, &zero, 1));
  CHECK(board.driver.start() == W25q64::Start::ready);
  CHECK(board.driver.program(0, &zero, 1));
}

TEST_CASE("over the driver and the emulated chip the spool outlives power cuts as well") {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    INFO("seed ", seed);
    const auto sectors = 4 + static_cast<std::uint32_t>(seed % 3);
    TornNor cells(sectors, seed);
    EmulatedW25q64 chip(cells);
    W25q64 driver(chip, sectors);
    REQUIRE(driver.start() == W25q64::Start::ready);
    Torture torture(driver, cells, seed + 1);
    torture.before_boot = [&] { REQUIRE(driver.start() == W25q64::Start::ready); };
    torture.live_long(seed % 2 == 0 ? sectors : 0);
    for (int life = 0; life < 8; ++life) {
      torture.live(true);
    }
    torture.live_long(1);
  }
}

TEST_CASE("a partition of the internal flash holds a spool") {
  PartitionInMemory partition(6 * Flash::kSectorSize);
  PartitionFlash flash(partition);
  REQUIRE(flash.start() == nullptr);
  Torture torture(flash, partition.cells, 9);
  torture.live_long(7);
  for (int life = 0; life < 30; ++life) {
    torture.live(true);
  }
}

TEST_CASE("an encrypted partition or one of the wrong size is refused with the reason") {
  struct Case {
    std::uint32_t bytes;
    bool encrypted;
    const char* reason;
  };
  for (const Case& one :
       {Case{1 << 20, true, "encrypted"}, Case{4096 * 3, false, "small"},
        Case{4096 * 2049, false, "large"}, Case{4096 * 8 + 512, false, "whole"}}) {
    PartitionInMemory partition(one.bytes, one.encrypted);
    PartitionFlash flash(partition);
    const char* reason = flash.start();
    REQUIRE(reason != nullptr);
    CHECK(std::strstr(reason, one.reason) != nullptr);
    CHECK_FALSE(flash.erase(0));
    CHECK(partition.cells.erases == 0);
  }
}

TEST_CASE("a partition that failed to read takes no more writes") {
  PartitionInMemory partition(4 * Flash::kSectorSize);
  PartitionFlash flash(partition);
  REQUIRE(flash.start() == nullptr);
  partition.broken = true;
  std::uint8_t byte = 0;
  flash.read(0, &byte, 1);
  CHECK(byte == 0xFF);
  partition.broken = false;
  CHECK_FALSE(flash.erase(0));
  CHECK(flash.start() == nullptr);
  CHECK(flash.erase(0));
}
