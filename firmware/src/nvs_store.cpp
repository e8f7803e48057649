#include "nvs_store.hpp"

#include <nvs_flash.h>

#include <cstring>

namespace noctis::esp {

bool NvsStore::open(const char* partition, const char* name) {
  // One that is erased is blank, and taken as such.
  open_ = nvs_flash_init_partition(partition) == ESP_OK &&
          nvs_open_from_partition(partition, name, NVS_READWRITE, &handle_) == ESP_OK;
  return open_;
}

std::optional<std::size_t> NvsStore::get(const char* name, std::uint8_t* to, std::size_t size) {
  std::size_t found = size;
  if (!open_ || nvs_get_blob(handle_, name, to, &found) != ESP_OK) {
    return std::nullopt;
  }
  return found;
}

// NVS writes a value beside the old one, and only then lets go of that.
bool NvsStore::put(const char* name, const std::uint8_t* from, std::size_t size) {
  return open_ && std::strlen(name) <= kMostName && size <= kMostLarge &&
         nvs_set_blob(handle_, name, from, size) == ESP_OK && nvs_commit(handle_) == ESP_OK;
}

bool NvsStore::remove(const char* name) {
  if (!open_) {
    return false;
  }
  const esp_err_t error = nvs_erase_key(handle_, name);
  return error == ESP_ERR_NVS_NOT_FOUND || (error == ESP_OK && nvs_commit(handle_) == ESP_OK);
}

}  // namespace noctis::esp
