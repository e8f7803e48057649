#include "esp_partition.hpp"

namespace noctis::esp {
namespace {

// What the chip did not do in time it may still do: that is no refusal.
bool began(esp_err_t error) { return error == ESP_OK || error == ESP_ERR_TIMEOUT; }

}  // namespace

bool EspPartition::read(std::uint32_t offset, std::uint8_t* to, std::size_t size) {
  return partition_ != nullptr && esp_partition_read(partition_, offset, to, size) == ESP_OK;
}

bool EspPartition::write(std::uint32_t offset, const std::uint8_t* from, std::size_t size) {
  return partition_ != nullptr && began(esp_partition_write(partition_, offset, from, size));
}

bool EspPartition::erase(std::uint32_t offset, std::size_t size) {
  return partition_ != nullptr && began(esp_partition_erase_range(partition_, offset, size));
}

}  // namespace noctis::esp
