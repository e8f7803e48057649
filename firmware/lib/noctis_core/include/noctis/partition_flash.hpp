// A partition of the ESP32's own flash as the spool's chip, where there is no chip beside it.
// SPOOL.md says what that costs.
#pragma once

#include <cstddef>
#include <cstdint>

#include "noctis/flash.hpp"

namespace noctis {

// What is needed of esp_partition. All return false where the flash did not begin; a write that
// began and timed out has begun.
class Partition {
 public:
  Partition() = default;
  Partition(const Partition&) = delete;
  Partition& operator=(const Partition&) = delete;
  virtual ~Partition() = default;

  virtual std::uint32_t size() const = 0;  // bytes
  virtual bool encrypted() const = 0;
  virtual bool read(std::uint32_t offset, std::uint8_t* to, std::size_t size) = 0;
  virtual bool write(std::uint32_t offset, const std::uint8_t* from, std::size_t size) = 0;
  virtual bool erase(std::uint32_t offset, std::size_t size) = 0;
};

class PartitionFlash : public Flash {
 public:
  explicit PartitionFlash(Partition& partition) : partition_(partition) {}

  // Why the partition cannot be a spool's chip; nullptr: it can. Until it can, reads give 0xFF
  // and writes are refused.
  const char* start();
  // False before start() and once a read failed: what rests on such a read might erase the
  // wrong sector.
  bool sound() const { return sound_; }

  std::uint32_t sectors() const override { return partition_.size() / kSectorSize; }
  void read(std::uint32_t address, std::uint8_t* to, std::size_t size) override;
  bool program(std::uint32_t address, const std::uint8_t* from, std::size_t size) override;
  bool erase(std::uint32_t sector) override;

 private:
  Partition& partition_;
  bool sound_ = false;
};

}  // namespace noctis
