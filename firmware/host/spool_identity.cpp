#include "spool_identity.hpp"

#include <unistd.h>

#include <array>

#include "noctis/bytes.hpp"
#include "noctis/crc.hpp"

namespace noctis::host {

std::uint64_t random_bits() {
  std::array<std::uint8_t, 8> bytes{};
  while (::getentropy(bytes.data(), bytes.size()) != 0) {
  }
  return get_u64(bytes.data());
}

SpoolIdentity spool_identity(const std::string& tenant, const std::string& device,
                             std::uint32_t chip) {
  const std::string id = tenant + "/" + device;
  const std::uint32_t owner =
      crc32(reinterpret_cast<const std::uint8_t*>(id.data()), id.size());
  return {owner, chip, random_bits()};
}

}  // namespace noctis::host
