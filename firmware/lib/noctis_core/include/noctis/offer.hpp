// An offer of firmware, as it lies on down/<tenant>/<device>/ota: two lines of flat JSON. The
// first says where the image is and who signed; the second is the manifest, to the byte what
// was signed. docs/updates.md specifies both.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "noctis/command.hpp"
#include "noctis/crypto.hpp"

namespace noctis {

inline constexpr std::size_t kMostOffer = 1536;  // bytes
inline constexpr std::size_t kMostUrl = 255;     // characters
inline constexpr std::size_t kMostVersion = 32;
inline constexpr std::size_t kMostTarget = 16;

using KeyId = std::array<char, 16>;  // the first 8 bytes of the public key's SHA-256, in hex

// The views are of the bytes that came.
struct Offer {
  CommandId rollout;
  bool whole = false;  // else only `rollout` could be read
  std::string_view url;
  KeyId key{};
  Signature signature{};
  std::string_view manifest;
};

struct Manifest {
  std::string_view target;      // esp32, esp32s3, host, ...
  std::string_view version;     // for people
  std::uint32_t build = 0;      // rises with every release
  std::uint32_t least = 0;      // builds below it cannot take this one at once
  std::uint32_t floor = 0;      // once this image stands, nothing below ever does again
  bool downgrade = false;       // may replace a higher build
  std::uint32_t expires_s = 0;  // unix seconds
  std::uint32_t size = 0;
  Sha256 sha256{};
};

// Nothing where no answer could be given: no two lines, no good id. Members that are not known
// are passed over.
std::optional<Offer> read_offer(const std::uint8_t* data, std::size_t size);
// Nothing where a member is missing or makes no sense.
std::optional<Manifest> read_manifest(std::string_view text);

}  // namespace noctis
