// A W25Q64 as it behaves on the SPI bus, command by command: it takes one program or erase
// after each write enable, is busy for a time and deaf meanwhile, wraps within a page, clears
// bits only. Its cells and its power are those of a TornNor.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "noctis/w25q64.hpp"
#include "torn_nor.hpp"

namespace noctis::test {

class EmulatedW25q64 : public Spi {
 public:
  explicit EmulatedW25q64(TornNor& cells) : cells_(cells) {}

  void transfer(const std::uint8_t* out, std::size_t out_size, std::uint8_t* in,
                std::size_t in_size) override {
    std::fill_n(in, in_size, std::uint8_t{0xFF});  // nobody drives the line
    if (cells_.dead() || unplugged) {
      write_enabled_ = asleep = false;
      busy_until_us_ = 0;
      return;
    }
    const bool busy = now_us < busy_until_us_;
    now_us += (out_size + in_size) * 8 / 50;  // 50 MHz
    if (out[0] == 0x05) {
      std::fill_n(in, in_size,
                  std::uint8_t((busy ? 1 : 0) | (write_enabled_ ? 2 : 0) | status1));
    } else if (!busy && (!asleep || out[0] == 0xAB)) {
      execute(out, out_size, in, in_size);
    }
    if (write_enabled_ && ends_write_ && now_us >= busy_until_us_) {
      write_enabled_ = ends_write_ = false;
    }
  }
  void wait_us(std::uint32_t us) override {
    now_us += us;
    if (ends_write_ && now_us >= busy_until_us_) {
      write_enabled_ = ends_write_ = false;
    }
  }

  std::array<std::uint8_t, 3> id = {0xEF, 0x40, 0x17};
  std::uint8_t status1 = 0;  // protection
  std::uint8_t status2 = 0;
  bool asleep = false;
  bool unplugged = false;
  bool write_protected = false;  // ignores programs and erases
  std::uint64_t program_us = 700, erase_us = 45'000;
  std::uint64_t now_us = 0;

 private:
  void execute(const std::uint8_t* out, std::size_t out_size, std::uint8_t* in,
               std::size_t in_size) {
    const std::uint32_t address =
        out_size >= 4 ? (std::uint32_t{out[1]} << 16U | std::uint32_t{out[2]} << 8U | out[3])
                      : 0;
    switch (out[0]) {
      case 0xAB:
        asleep = false;
        break;
      case 0x9F:
        std::copy_n(id.begin(), std::min(in_size, id.size()), in);
        break;
      case 0x35:
        std::fill_n(in, in_size, status2);
        break;
      case 0x06:
        write_enabled_ = true;
        break;
      case 0x03:
        cells_.read(address, in, in_size);
        break;
      case 0x02:
        if (begin_write(program_us)) {
          program_page(address, out + 4, out_size - 4);
        }
        break;
      case 0x20:
        if (begin_write(erase_us)) {
          cells_.erase(address / Flash::kSectorSize);
        }
        break;
      default:
        FAIL("no command of the driver's: ", int{out[0]});
    }
  }
  bool begin_write(std::uint64_t takes_us) {
    if (!write_enabled_ || write_protected) {
      return false;
    }
    busy_until_us_ = now_us + takes_us;
    ends_write_ = true;
    return true;
  }
  void program_page(std::uint32_t address, const std::uint8_t* from, std::size_t size) {
    std::array<std::uint8_t, Flash::kPageSize> page{};
    page.fill(0xFF);
    for (std::size_t i = 0; i < size; ++i) {
      page[(address + i) % page.size()] = from[i];
    }
    cells_.program(address / Flash::kPageSize * Flash::kPageSize, page.data(), page.size());
  }

  TornNor& cells_;
  std::uint64_t busy_until_us_ = 0;
  bool write_enabled_ = false;
  bool ends_write_ = false;
};

}  // namespace noctis::test
