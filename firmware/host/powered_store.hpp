// A store without power once its board has none: it takes every write and does none.
#pragma once

#include "noctis/store.hpp"
#include "torn_flash.hpp"

namespace noctis::host {

class PoweredStore : public Store {
 public:
  // Both must outlive it. The flash says when the power failed.
  PoweredStore(Store& store, const TornFlash& flash) : store_(store), flash_(flash) {}

  std::optional<std::size_t> get(const char* name, std::uint8_t* to,
                                 std::size_t size) override {
    return store_.get(name, to, size);
  }
  bool put(const char* name, const std::uint8_t* from, std::size_t size) override {
    return flash_.dead() || store_.put(name, from, size);
  }
  bool remove(const char* name) override { return flash_.dead() || store_.remove(name); }

 private:
  Store& store_;
  const TornFlash& flash_;
};

}  // namespace noctis::host
