// What a device on a computer needs for updates: a folder with two slots and what says which
// one boots, keys, a store and a way to servers.
//   slot-0, slot-1   images: programs, run by noctis-boot
//   otadata          which one boots
//   store            what an update notes
#pragma once

#include <memory>
#include <string>

#include "curl_source.hpp"
#include "file_flash.hpp"
#include "file_store.hpp"
#include "flash_slots.hpp"
#include "noctis/update.hpp"
#include "sodium_crypto.hpp"

namespace noctis::host {

struct UpdateSettings {
  std::string slots;  // the folder; empty: no updates
  int slot = 0;       // the one that runs
  std::string keys;   // a file: a public key in hex a line, two at most
  std::string ca;     // of the servers of images
  double trial_s = Update::kTrialMs / 1000.0;
};

inline constexpr std::uint32_t kSlotSectors = 8192;  // 32 MiB
std::string slot_path(const std::string& folder, unsigned slot);
std::string ota_data_path(const std::string& folder);

class UpdateBoard {
 public:
  // Null and `error` set: what was wrong and what to do.
  static std::unique_ptr<UpdateBoard> open(const UpdateSettings& settings, std::string& error);

  FlashSlots& slots() { return *slots_; }
  CurlSource& source() { return source_; }
  SodiumCrypto& crypto() { return crypto_; }
  FileStore& store() { return *store_; }
  const UpdateKeys& keys() const { return keys_; }
  std::uint64_t trial_ms() const { return trial_ms_; }

 private:
  explicit UpdateBoard(const UpdateSettings& settings)
      : source_(settings.ca), trial_ms_(static_cast<std::uint64_t>(1000 * settings.trial_s)) {}

  std::unique_ptr<FileFlash> spare_;
  std::unique_ptr<FileFlash> ota_data_;
  std::unique_ptr<FlashSlots> slots_;
  std::unique_ptr<FileStore> store_;
  CurlSource source_;
  SodiumCrypto crypto_;
  UpdateKeys keys_;
  std::uint64_t trial_ms_;
};

}  // namespace noctis::host
