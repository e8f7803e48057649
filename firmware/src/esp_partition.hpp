// A partition of the ESP32's own flash: the spool's, or a slot of the firmware.
#pragma once

#include <esp_partition.h>

#include "noctis/partition_flash.hpp"

namespace noctis::esp {

class EspPartition : public Partition {
 public:
  // Nullptr where the partition table has none such: nothing is read or written then.
  void open(const esp_partition_t* partition) { partition_ = partition; }

  std::uint32_t size() const override { return partition_ == nullptr ? 0 : partition_->size; }
  bool encrypted() const override { return partition_ != nullptr && partition_->encrypted; }
  bool read(std::uint32_t offset, std::uint8_t* to, std::size_t size) override;
  bool write(std::uint32_t offset, const std::uint8_t* from, std::size_t size) override;
  bool erase(std::uint32_t offset, std::size_t size) override;

 private:
  const esp_partition_t* partition_ = nullptr;
};

}  // namespace noctis::esp
