// A store whose power can fail before a write.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "noctis/store.hpp"

namespace noctis::test {

struct MemoryStore : Store {
  std::optional<std::size_t> get(const char* name, std::uint8_t* to,
                                 std::size_t size) override {
    const auto found = values.find(name);
    if (found == values.end() || found->second.size() > size) {
      return std::nullopt;
    }
    std::copy(found->second.begin(), found->second.end(), to);
    return found->second.size();
  }
  bool put(const char* name, const std::uint8_t* from, std::size_t size) override {
    if (full) {
      return false;
    }
    if (!cut_now()) {
      values[name].assign(from, from + size);
      ++writes;
    }
    return true;
  }
  bool remove(const char* name) override {
    if (full) {
      return false;
    }
    if (!cut_now()) {
      writes += values.erase(name) == 0 ? 0 : 1;
    }
    return true;
  }
  // Without power every write is taken and none is done.
  bool cut_now() {
    dead = dead || writes_left == 0 || (unpowered && unpowered());
    writes_left -= writes_left > 0 ? 1 : 0;
    return dead;
  }
  void power_on() {
    dead = false;
    writes_left = -1;
  }

  std::map<std::string, std::vector<std::uint8_t>> values;
  int writes = 0;
  int writes_left = -1;  // -1: no cut to come
  bool dead = false;
  bool full = false;                // takes nothing
  std::function<bool()> unpowered;  // whatever else says that there is no power
};

}  // namespace noctis::test
