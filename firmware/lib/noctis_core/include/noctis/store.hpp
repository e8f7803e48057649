// Small named values that survive the power: settings, what was ordered, where an update
// stands. One adapter a machine: a namespace of NVS on the ESP32, a file on a computer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

namespace noctis {

// Names are 1 to 15 characters, as NVS has them. A value that is written is there at once and
// for good: wherever the power is cut, a name has its old value or its new one, whole.
class Store {
 public:
  static constexpr std::size_t kMostName = 15;
  static constexpr std::size_t kMostValue = 512;   // bytes, of what the device writes
  static constexpr std::size_t kMostLarge = 4000;  // of an identity

  Store() = default;
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;
  virtual ~Store() = default;

  // Reads a value and returns its size; nothing where the name has none, or one that is longer
  // than `size`.
  virtual std::optional<std::size_t> get(const char* name, std::uint8_t* to,
                                         std::size_t size) = 0;
  // Both return false where nothing changed: the name is too long, the value is, or the machine
  // does not take it.
  virtual bool put(const char* name, const std::uint8_t* from, std::size_t size) = 0;
  // True also where there was none.
  virtual bool remove(const char* name) = 0;
};

// A number of 32 bits, little-endian.
std::optional<std::uint32_t> get_number(Store& store, const char* name);
bool put_number(Store& store, const char* name, std::uint32_t value);

}  // namespace noctis
