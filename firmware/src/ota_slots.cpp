#include "ota_slots.hpp"

#include <esp_ota_ops.h>

// Arduino would call an image good before setup() has run; this firmware decides that itself,
// once the image has reached the broker and found the spool.
extern "C" bool verifyRollbackLater() { return true; }

namespace noctis::esp {
namespace {

esp_ota_img_states_t state_of(const esp_partition_t* partition) {
  esp_ota_img_states_t state = ESP_OTA_IMG_UNDEFINED;
  if (partition == nullptr || esp_ota_get_state_partition(partition, &state) != ESP_OK) {
    return ESP_OTA_IMG_UNDEFINED;
  }
  return state;
}

}  // namespace

const char* OtaSlots::begin() {
  spare_ = esp_ota_get_next_update_partition(nullptr);
  if (spare_ == nullptr) {
    return "the partition table has no second slot for the firmware";
  }
  partition_.open(spare_);
  return flash_.start();
}

bool OtaSlots::on_trial() {
  return state_of(esp_ota_get_running_partition()) == ESP_OTA_IMG_PENDING_VERIFY;
}

bool OtaSlots::spare_failed() {
  const esp_ota_img_states_t state = state_of(spare_);
  return state == ESP_OTA_IMG_ABORTED || state == ESP_OTA_IMG_INVALID;
}

bool OtaSlots::boot_spare() { return esp_ota_set_boot_partition(spare_) == ESP_OK; }

bool OtaSlots::keep() { return esp_ota_mark_app_valid_cancel_rollback() == ESP_OK; }

// The boot loader takes the other image by itself where this one was never called good.
bool OtaSlots::give_up() { return on_trial(); }

}  // namespace noctis::esp
