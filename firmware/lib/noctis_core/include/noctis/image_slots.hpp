// The two places of the firmware's image, and which of them boots. esp_ota_ops with rollback
// enabled on the ESP32; files, and noctis-boot for the boot loader, on a computer.
#pragma once

#include "noctis/flash.hpp"

namespace noctis {

class ImageSlots {
 public:
  ImageSlots() = default;
  ImageSlots(const ImageSlots&) = delete;
  ImageSlots& operator=(const ImageSlots&) = delete;
  virtual ~ImageSlots() = default;

  // The slot whose image does not run.
  virtual Flash& spare() = 0;
  // The running image boots for the first time: unless keep() is called, the next boot is the
  // other image's, whatever ends this one.
  virtual bool on_trial() = 0;
  // The spare slot's image was on trial and was not kept.
  virtual bool spare_failed() = 0;

  // All return false where that could not be written; whatever a cut leaves, one of the two
  // images boots.
  virtual bool boot_spare() = 0;  // the next boot is the spare slot's, on trial
  virtual bool keep() = 0;        // the running image boots from now on
  virtual bool give_up() = 0;     // the next boot is the other image's
};

}  // namespace noctis
