// The two checksums of the spool and of the wire.
#pragma once

#include <cstddef>
#include <cstdint>

namespace noctis {

// Polynomial 0x07, initial value 0xA5, not reflected: neither thirteen 0x00 nor thirteen 0xFF
// have a checksum of the same byte, so a blank or a zeroed slot is never valid.
std::uint8_t crc8(const std::uint8_t* data, std::size_t size);

// zlib's CRC-32.
std::uint32_t crc32(const std::uint8_t* data, std::size_t size);

}  // namespace noctis
