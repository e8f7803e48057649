#include "noctis/w25q64.hpp"

#include <algorithm>
#include <array>

namespace noctis {
namespace {

enum Command : std::uint8_t {
  kPageProgram = 0x02,
  kRead = 0x03,
  kReadStatus1 = 0x05,
  kWriteEnable = 0x06,
  kSectorErase = 0x20,
  kReadStatus2 = 0x35,
  kJedecId = 0x9F,
  kWake = 0xAB,  // release from power-down
};

constexpr std::uint8_t kBusy = 0x01;
constexpr std::uint8_t kWriteEnabled = 0x02;
constexpr std::uint8_t kProtectBits1 = 0x7C;  // BP0 to BP2, TB, SEC
constexpr std::uint8_t kProtectBits2 = 0x40;  // CMP

// The datasheet's maxima: tPP 3 ms, tSE 400 ms, tRES1 3 us. A sector erase that went on through
// a reset of the processor is the longest that one may have to wait for.
constexpr std::uint32_t kProgramUs = 3'000;
constexpr std::uint32_t kEraseUs = 400'000;
constexpr std::uint32_t kWakeUs = 3;
constexpr std::uint32_t kProgramStepUs = 50;
constexpr std::uint32_t kEraseStepUs = 1'000;

// 8 MiB chips with 4 KiB sectors and plain cells, whose bits can be cleared one by one:
// Winbond W25Q64 (JV-IQ, JV-IM, FW/DW), GigaDevice GD25Q64, Puya P25Q64, XMC XM25QH64.
constexpr std::array<std::uint32_t, 6> kKnownChips = {0xEF4017, 0xEF7017, 0xEF6017,
                                                      0xC84017, 0x856017, 0x204017};

std::array<std::uint8_t, 4> with_address(std::uint8_t command, std::uint32_t address) {
  return {command, static_cast<std::uint8_t>(address >> 16U),
          static_cast<std::uint8_t>(address >> 8U), static_cast<std::uint8_t>(address)};
}

}  // namespace

std::uint8_t W25q64::status(std::uint8_t command) {
  std::uint8_t value = 0;
  spi_.transfer(&command, 1, &value, 1);
  return value;
}

void W25q64::command(std::uint8_t command) { spi_.transfer(&command, 1, nullptr, 0); }

bool W25q64::wait_ready(std::uint32_t at_most_us, std::uint32_t step_us) {
  for (std::uint32_t waited_us = 0; (status(kReadStatus1) & kBusy) != 0; waited_us += step_us) {
    if (waited_us >= at_most_us) {
      return false;
    }
    spi_.wait_us(step_us);
  }
  return true;
}

W25q64::Start W25q64::start() {
  sound_ = false;
  command(kWake);
  spi_.wait_us(kWakeUs);
  // While it is busy, a chip answers nothing but its status; without a chip all bits read 1.
  if (!wait_ready(kEraseUs, kEraseStepUs)) {
    return status(kReadStatus1) == 0xFF ? Start::absent : Start::busy;
  }
  std::array<std::uint8_t, 3> id{};
  const std::uint8_t ask = kJedecId;
  spi_.transfer(&ask, 1, id.data(), id.size());
  jedec_id_ = std::uint32_t{id[0]} << 16U | std::uint32_t{id[1]} << 8U | id[2];
  if (jedec_id_ == 0 || jedec_id_ == 0xFFFFFF) {
    return Start::absent;
  }
  if (std::find(kKnownChips.begin(), kKnownChips.end(), jedec_id_) == kKnownChips.end()) {
    return Start::wrong_chip;
  }
  if ((status(kReadStatus1) & kProtectBits1) != 0 ||
      (status(kReadStatus2) & kProtectBits2) != 0) {
    return Start::locked;
  }
  sound_ = true;
  return Start::ready;
}

void W25q64::read(std::uint32_t address, std::uint8_t* to, std::size_t size) {
  // A program or an erase that missed its deadline may still go on.
  sound_ = sound_ && wait_ready(kEraseUs, kEraseStepUs);
  if (!sound_) {
    std::fill_n(to, size, std::uint8_t{0xFF});
    return;
  }
  const auto out = with_address(kRead, address);
  spi_.transfer(out.data(), out.size(), to, size);
}

// True if the chip now takes one program or erase.
bool W25q64::enable_writes() {
  if (!sound_ || !wait_ready(kEraseUs, kEraseStepUs)) {
    return false;
  }
  command(kWriteEnable);
  return (status(kReadStatus1) & (kWriteEnabled | kBusy)) == kWriteEnabled;
}

// Waits for the end of a write. The chip takes back its leave to write when it has done one:
// where the leave still stands, it never began.
bool W25q64::began(std::uint32_t at_most_us, std::uint32_t step_us) {
  return !wait_ready(at_most_us, step_us) || (status(kReadStatus1) & kWriteEnabled) == 0;
}

bool W25q64::program(std::uint32_t address, const std::uint8_t* from, std::size_t size) {
  std::array<std::uint8_t, 4 + kPageSize> out{};
  if (address % kPageSize + size > kPageSize || !enable_writes()) {
    return false;
  }
  const auto head = with_address(kPageProgram, address);
  std::copy(head.begin(), head.end(), out.begin());
  std::copy_n(from, size, out.begin() + head.size());
  spi_.transfer(out.data(), head.size() + size, nullptr, 0);
  return began(kProgramUs, kProgramStepUs);
}

bool W25q64::erase(std::uint32_t sector) {
  if (sector >= sectors_ || !enable_writes()) {
    return false;
  }
  const auto out = with_address(kSectorErase, sector * kSectorSize);
  spi_.transfer(out.data(), out.size(), nullptr, 0);
  return began(kEraseUs, kEraseStepUs);
}

}  // namespace noctis
