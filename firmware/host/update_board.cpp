#include "update_board.hpp"

#include <fstream>

namespace noctis::host {
namespace {

bool read_key(const std::string& line, PublicKey& key) {
  std::size_t size = 0;
  return sodium_hex2bin(key.data(), key.size(), line.data(), line.size(), nullptr, &size,
                        nullptr) == 0 &&
         size == key.size() && line.size() == 2 * size;
}

bool load_keys(const std::string& path, UpdateKeys& keys, std::string& error) {
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    if (keys.count == keys.keys.size() || !read_key(line, keys.keys[keys.count])) {
      error = path;
      error += " must hold one or two lines, each a public key of 64 hex digits, not '";
      error += line + "'";
      return false;
    }
    ++keys.count;
  }
  if (keys.count == 0) {
    error = "no key in " + path + ": write what noctis firmware key list --public prints there";
  }
  return keys.count > 0;
}

}  // namespace

std::string slot_path(const std::string& folder, unsigned slot) {
  return folder + "/slot-" + std::to_string(slot);
}

std::string ota_data_path(const std::string& folder) { return folder + "/otadata"; }

std::unique_ptr<UpdateBoard> UpdateBoard::open(const UpdateSettings& settings,
                                               std::string& error) {
  std::unique_ptr<UpdateBoard> board(new UpdateBoard(settings));
  const auto running = static_cast<unsigned>(settings.slot);
  if (!load_keys(settings.keys, board->keys_, error)) {
    return nullptr;
  }
  board->spare_ = FileFlash::open(slot_path(settings.slots, 1 - running), kSlotSectors, error);
  board->ota_data_ = FileFlash::open(ota_data_path(settings.slots), OtaData::kSectors, error);
  board->store_ = FileStore::open(settings.slots + "/store", error);
  if (!board->spare_ || !board->ota_data_ || !board->store_) {
    return nullptr;
  }
  board->slots_ = std::make_unique<FlashSlots>(*board->spare_, *board->ota_data_, running);
  return board;
}

}  // namespace noctis::host
