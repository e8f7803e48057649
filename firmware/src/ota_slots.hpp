// The two OTA partitions, with the boot loader's rollback.
#pragma once

#include "esp_partition.hpp"
#include "noctis/image_slots.hpp"

namespace noctis::esp {

class OtaSlots : public ImageSlots {
 public:
  // Why there can be no updates; nullptr: there can.
  const char* begin();

  Flash& spare() override { return flash_; }
  bool on_trial() override;
  bool spare_failed() override;
  bool boot_spare() override;
  bool keep() override;
  bool give_up() override;

 private:
  const esp_partition_t* spare_ = nullptr;
  EspPartition partition_;
  PartitionFlash flash_{partition_};
};

}  // namespace noctis::esp
