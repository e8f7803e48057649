// Who a device is and where its platform is: what a claim brings. One value of the Store, so
// that it is there whole or not at all. docs/provisioning.md specifies the bytes.
//   "NI" | version | fields: tag u8, size u16, bytes | CRC-32 of everything before
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace noctis {

inline constexpr std::size_t kMostIdentity = 3072;  // bytes
inline constexpr std::size_t kMostName = 32;        // characters of a tenant's or device's name
inline constexpr std::size_t kMostHost = 64;
inline constexpr std::size_t kMostPassword = 64;

struct ByteView {
  const std::uint8_t* data = nullptr;
  std::size_t size = 0;
};

// All of it lies in the bytes that were read.
struct Identity {
  std::string_view tenant;
  std::string_view device;
  std::string_view host;  // of the broker
  std::uint16_t port = 0;
  std::string_view password;  // empty: the certificate proves who it is
  ByteView ca;                // DER; empty: no TLS
  ByteView certificate;       // DER, with `key`; empty: the password does
  ByteView key;               // DER, PKCS #8
  ByteView update_keys;       // Ed25519, one or two: who may sign its firmware; empty: nobody
};

// Nothing unless the bytes are a whole identity: fields in the order of their tags, each at
// most once, names that the platform gives, and a password or a certificate with its key and
// its CA.
std::optional<Identity> read_identity(const std::uint8_t* data, std::size_t size);

// The serial number of an X.509 certificate (DER): lower-case hexadecimal without zeros in
// front, as the platform writes it, and a final zero. Empty where these bytes are no
// certificate.
inline constexpr std::size_t kMostSerial = 40;  // digits (RFC 5280: 20 bytes)
std::array<char, kMostSerial + 1> serial_of(const ByteView& certificate);

// Writes one with a password and without TLS, as somebody typed it; returns its size, 0: it
// would be none.
std::size_t write_identity(std::string_view tenant, std::string_view device,
                           std::string_view host, std::uint16_t port, std::string_view password,
                           std::uint8_t* to, std::size_t size);

// Whether it is a name of a tenant or a device: [a-z0-9-]{1,32}.
bool good_name(std::string_view name);

// The owner in the spool's sectors: CRC-32 of "tenant/device".
std::uint32_t owner_of(std::string_view tenant, std::string_view device);

// A Wi-Fi network as it is stored, and as Improv brings it: name and password, each behind its
// size (u8).
struct WifiSettings {
  std::string_view name;  // 1 to 32 bytes
  std::string_view
      password;  // empty: an open network; else 8 to 63 characters, or 64 hex digits
};
inline constexpr std::size_t kMostWifi = 1 + 32 + 1 + 64;

std::optional<WifiSettings> read_wifi(const std::uint8_t* data, std::size_t size);

}  // namespace noctis
