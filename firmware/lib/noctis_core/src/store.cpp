#include "noctis/store.hpp"

#include <array>

#include "noctis/bytes.hpp"

namespace noctis {

std::optional<std::uint32_t> get_number(Store& store, const char* name) {
  std::array<std::uint8_t, 4> bytes{};
  if (store.get(name, bytes.data(), bytes.size()) != bytes.size()) {
    return std::nullopt;
  }
  return get_u32(bytes.data());
}

bool put_number(Store& store, const char* name, std::uint32_t value) {
  std::array<std::uint8_t, 4> bytes{};
  put_u32(bytes.data(), value);
  return store.put(name, bytes.data(), bytes.size());
}

}  // namespace noctis
