// A W25Q64 or alike: 8 MiB of NOR flash behind SPI. Commands and times are those of Winbond's
// datasheet of the W25Q64JV.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "noctis/flash.hpp"

namespace noctis {

// One SPI transaction at a time, mode 0, at most 50 MHz.
class Spi {
 public:
  Spi() = default;
  Spi(const Spi&) = delete;
  Spi& operator=(const Spi&) = delete;
  virtual ~Spi() = default;

  // Selects the chip, sends `out`, then receives `in`, deselects. A size may be 0.
  virtual void transfer(const std::uint8_t* out, std::size_t out_size, std::uint8_t* in,
                        std::size_t in_size) = 0;
  // Lets at least that many microseconds pass.
  virtual void wait_us(std::uint32_t us) = 0;
};

class W25q64 : public Flash {
 public:
  static constexpr std::uint32_t kSectors = 2048;

  enum class Start : std::uint8_t {
    ready,
    absent,      // no chip answers: wiring, power
    wrong_chip,  // another chip than 8 MiB of a family known to clear single bits
    locked,      // its status register protects sectors: clear BP, TB, SEC and CMP first
    busy,        // it never ends what it was doing
  };

  // The spool gets the first `sectors` sectors of the chip.
  explicit W25q64(Spi& spi, std::uint32_t sectors = kSectors) : spi_(spi), sectors_(sectors) {}

  // To be called after power-up, before anything else, and again if sound() says no. Wakes the
  // chip, waits for a write that went on through a reset, checks the chip. Writes nothing.
  Start start();
  // Manufacturer, type, capacity as start() read them; for the chip tag and for complaints.
  std::uint32_t jedec_id() const { return jedec_id_; }

  // False before start(), and once the chip did not answer a read: reads then give 0xFF, and
  // all writes are refused, because what rests on such a read might erase the wrong sector.
  bool sound() const { return sound_; }

  std::uint32_t sectors() const override { return sectors_; }
  void read(std::uint32_t address, std::uint8_t* to, std::size_t size) override;
  bool program(std::uint32_t address, const std::uint8_t* from, std::size_t size) override;
  bool erase(std::uint32_t sector) override;

 private:
  std::uint8_t status(std::uint8_t command);
  void command(std::uint8_t command);
  bool wait_ready(std::uint32_t at_most_us, std::uint32_t step_us);
  bool enable_writes();
  bool began(std::uint32_t at_most_us, std::uint32_t step_us);

  Spi& spi_;
  std::uint32_t sectors_;
  std::uint32_t jedec_id_ = 0;
  bool sound_ = false;
};

}  // namespace noctis
