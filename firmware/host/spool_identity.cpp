#include "spool_identity.hpp"

#include <unistd.h>

#include <array>

#include "noctis/bytes.hpp"
#include "noctis/identity.hpp"

namespace noctis::host {

std::uint64_t random_bits() {
  std::array<std::uint8_t, 8> bytes{};
  while (::getentropy(bytes.data(), bytes.size()) != 0) {
  }
  return get_u64(bytes.data());
}

SpoolIdentity spool_identity(const std::string& tenant, const std::string& device,
                             std::uint32_t chip) {
  return {owner_of(tenant, device), chip, random_bits()};
}

}  // namespace noctis::host
