// The slot that does not run and what says which one boots, each a flash of its own.
#pragma once

#include "noctis/image_slots.hpp"
#include "ota_data.hpp"

namespace noctis::host {

class FlashSlots : public ImageSlots {
 public:
  // `running`: the slot, 0 or 1, that the boot loader chose.
  FlashSlots(Flash& spare, Flash& ota_data, unsigned running)
      : spare_(spare), ota_data_(ota_data), running_(running) {}

  Flash& spare() override { return spare_; }
  bool on_trial() override { return ota_data_.on_trial(running_); }
  bool spare_failed() override { return ota_data_.failed(1 - running_); }
  bool boot_spare() override { return ota_data_.select(1 - running_); }
  bool keep() override { return ota_data_.keep(running_); }
  bool give_up() override { return ota_data_.give_up(running_); }

 private:
  Flash& spare_;
  OtaData ota_data_;
  unsigned running_;
};

}  // namespace noctis::host
