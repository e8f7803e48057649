#include "noctis/spool_layout.hpp"

#include "noctis/bytes.hpp"
#include "noctis/crc.hpp"

namespace noctis::layout {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kChecked = kHeaderSize - 4;

}  // namespace

HeaderBytes encode_header(const SectorHeader& header) {
  HeaderBytes bytes{};
  bytes.fill(0xFF);
  bytes[0] = 'N';
  bytes[1] = 'S';
  bytes[2] = kVersion;
  put_u64(&bytes[4], header.stream);
  put_u32(&bytes[12], header.owner);
  put_u32(&bytes[16], header.sector_no);
  put_u32(&bytes[20], header.chip);
  put_u32(&bytes[kChecked], crc32(bytes.data(), kChecked));
  return bytes;
}

std::optional<SectorHeader> decode_header(const std::uint8_t* bytes) {
  if (bytes[0] != 'N' || bytes[1] != 'S' || bytes[2] != kVersion ||
      get_u32(bytes + kChecked) != crc32(bytes, kChecked)) {
    return std::nullopt;
  }
  return SectorHeader{get_u64(bytes + 4), get_u32(bytes + 12), get_u32(bytes + 16),
                      get_u32(bytes + 20)};
}

}  // namespace noctis::layout
