// The store in a partition of NVS.
#pragma once

#include <nvs.h>

#include "noctis/store.hpp"

namespace noctis::esp {

class NvsStore : public Store {
 public:
  // Opens a namespace of a partition. False where that cannot be: nothing is read or written
  // then. What is no NVS is left alone: it may hold a key.
  bool open(const char* partition, const char* name);

  std::optional<std::size_t> get(const char* name, std::uint8_t* to, std::size_t size) override;
  bool put(const char* name, const std::uint8_t* from, std::size_t size) override;
  bool remove(const char* name) override;

 private:
  nvs_handle_t handle_ = 0;
  bool open_ = false;
};

}  // namespace noctis::esp
