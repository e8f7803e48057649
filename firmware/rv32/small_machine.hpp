// A store and a board of a machine that has nothing.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>

#include "noctis/board.hpp"
#include "noctis/store.hpp"

namespace noctis::target {

class RamStore : public Store {
 public:
  std::optional<std::size_t> get(const char* name, std::uint8_t* to,
                                 std::size_t size) override {
    const Value* const value = find(name);
    if (value == nullptr || value->size > size) {
      return std::nullopt;
    }
    std::copy_n(value->bytes.begin(), value->size, to);
    return value->size;
  }
  bool put(const char* name, const std::uint8_t* from, std::size_t size) override {
    Value* value = find(name);
    value = value == nullptr ? find("") : value;
    if (value == nullptr || size > kMostValue || std::strlen(name) > kMostName) {
      return false;
    }
    std::strcpy(value->name.data(), name);
    std::copy_n(from, size, value->bytes.begin());
    value->size = size;
    return true;
  }
  bool remove(const char* name) override {
    if (Value* const value = find(name)) {
      *value = {};
    }
    return true;
  }

 private:
  static constexpr std::size_t kValues = 4;
  struct Value {
    std::array<char, kMostName + 1> name;  // empty: none
    std::array<std::uint8_t, kMostValue> bytes;
    std::size_t size;
  };

  Value* find(const char* name) {
    for (Value& value : values_) {
      if (std::strcmp(value.name.data(), name) == 0) {
        return &value;
      }
    }
    return nullptr;
  }

  std::array<Value, kValues> values_{};
};

struct QuietBoard : Board {
  void restart() override { ++restarts; }
  void identify(std::uint32_t seconds) override { identified_s += seconds; }
  void allow_light(bool allowed) override { light = allowed; }
  ResetReason reset_reason() const override { return ResetReason::power_on; }
  std::optional<std::uint32_t> free_heap() const override { return 181'000; }
  std::optional<std::uint32_t> least_free_heap() const override { return 164'000; }
  std::optional<std::uint32_t> stack_left() const override { return 3'100; }
  std::optional<std::int8_t> rssi() const override { return -61; }

  std::uint32_t restarts = 0;
  std::uint32_t identified_s = 0;
  bool light = true;
};

}  // namespace noctis::target
