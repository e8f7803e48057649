#include "noctis/identity.hpp"

#include <algorithm>
#include <array>

#include "noctis/bytes.hpp"
#include "noctis/crc.hpp"

namespace noctis {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kHead = 3;
constexpr std::size_t kFieldHead = 3;
constexpr std::size_t kCrc = 4;
constexpr std::size_t kMostWifiName = 32;
constexpr std::size_t kLeastWifiPassword = 8;
constexpr std::size_t kWifiKey = 64;
constexpr std::size_t kUpdateKey = 32;

enum Tag : std::uint8_t {
  tenant,
  device,
  host,
  port,
  password,
  ca,
  certificate,
  key,
  update_keys,
  tags
};

std::string_view text(const ByteView& bytes) {
  return {reinterpret_cast<const char*>(bytes.data), bytes.size};
}

bool among(char character, char first, char last) {
  return character >= first && character <= last;
}

bool digit(char character) { return among(character, '0', '9'); }

bool printable(std::string_view characters) {
  return std::all_of(characters.begin(), characters.end(),
                     [](char character) { return among(character, ' ', '~'); });
}

// A host name or an address; nothing that could end it within a URI.
bool good_host(std::string_view name) {
  return !name.empty() && name.size() <= kMostHost &&
         std::all_of(name.begin(), name.end(), [](char character) {
           return among(character, 'a', 'z') || among(character, 'A', 'Z') ||
                  digit(character) || character == '.' || character == '-' || character == ':';
         });
}

bool read_fields(const std::uint8_t* data, std::size_t size,
                 std::array<ByteView, tags>& fields) {
  std::uint8_t least = 1;
  while (size > 0) {
    if (size < kFieldHead || data[0] < least || data[0] > tags) {
      return false;
    }
    const std::size_t length = std::size_t{data[1]} | std::size_t{data[2]} << 8U;
    if (length == 0 || length > size - kFieldHead) {
      return false;
    }
    fields[data[0] - std::size_t{1}] = {data + kFieldHead, length};
    least = static_cast<std::uint8_t>(data[0] + 1);
    data += kFieldHead + length;
    size -= kFieldHead + length;
  }
  return true;
}

bool sensible(const Identity& identity) {
  const bool certified = identity.certificate.size > 0 && identity.key.size > 0 &&
                         identity.ca.size > 0 && identity.password.empty();
  const bool uncertified =
      identity.certificate.size == 0 && identity.key.size == 0 && !identity.password.empty();
  return good_name(identity.tenant) && good_name(identity.device) && good_host(identity.host) &&
         identity.port != 0 && identity.password.size() <= kMostPassword &&
         printable(identity.password) && identity.update_keys.size % kUpdateKey == 0 &&
         identity.update_keys.size <= 2 * kUpdateKey && (certified || uncertified);
}

}  // namespace

bool good_name(std::string_view name) {
  return !name.empty() && name.size() <= kMostName &&
         std::all_of(name.begin(), name.end(), [](char character) {
           return among(character, 'a', 'z') || digit(character) || character == '-';
         });
}

std::optional<Identity> read_identity(const std::uint8_t* data, std::size_t size) {
  if (size < kHead + kCrc || size > kMostIdentity || data[0] != 'N' || data[1] != 'I' ||
      data[2] != kVersion || crc32(data, size - kCrc) != get_u32(data + size - kCrc)) {
    return std::nullopt;
  }
  std::array<ByteView, tags> fields{};
  if (!read_fields(data + kHead, size - kHead - kCrc, fields) || fields[port].size != 2) {
    return std::nullopt;
  }
  const std::uint8_t* number = fields[port].data;
  const Identity identity{
      text(fields[tenant]),   text(fields[device]),
      text(fields[host]),     static_cast<std::uint16_t>(number[0] | number[1] << 8),
      text(fields[password]), fields[ca],
      fields[certificate],    fields[key],
      fields[update_keys]};
  return sensible(identity) ? std::optional(identity) : std::nullopt;
}

std::size_t write_identity(std::string_view tenant, std::string_view device,
                           std::string_view host, std::uint16_t port, std::string_view password,
                           std::uint8_t* to, std::size_t size) {
  const std::array<char, 2> number{static_cast<char>(port), static_cast<char>(port >> 8U)};
  const std::array<std::string_view, Tag::password + 1> values{
      tenant, device, host, {number.data(), number.size()}, password};
  std::size_t whole = kHead + kCrc;
  for (const std::string_view value : values) {
    whole += kFieldHead + value.size();
  }
  if (whole > size) {
    return 0;
  }
  std::uint8_t* at = to;
  for (const std::uint8_t byte : {std::uint8_t{'N'}, std::uint8_t{'I'}, kVersion}) {
    *at++ = byte;
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    *at++ = static_cast<std::uint8_t>(i + 1);
    *at++ = static_cast<std::uint8_t>(values[i].size());
    *at++ = static_cast<std::uint8_t>(values[i].size() >> 8U);
    at = std::copy(values[i].begin(), values[i].end(), at);
  }
  put_u32(at, crc32(to, whole - kCrc));
  return read_identity(to, whole) ? whole : 0;
}

std::uint32_t owner_of(std::string_view tenant, std::string_view device) {
  std::array<std::uint8_t, 2 * kMostName + 1> id{};
  const std::size_t tenant_size = std::min(tenant.size(), kMostName);
  const std::size_t device_size = std::min(device.size(), kMostName);
  std::copy_n(tenant.begin(), tenant_size, id.begin());
  id[tenant_size] = '/';
  std::copy_n(device.begin(), device_size, id.begin() + tenant_size + 1);
  return crc32(id.data(), tenant_size + 1 + device_size);
}

std::optional<WifiSettings> read_wifi(const std::uint8_t* data, std::size_t size) {
  if (size < 2 || data[0] == 0 || data[0] > kMostWifiName || size < std::size_t{2} + data[0]) {
    return std::nullopt;
  }
  const std::size_t name_size = data[0];
  const std::size_t password_size = data[1 + name_size];
  const bool sized =
      password_size == 0 || (password_size >= kLeastWifiPassword && password_size <= kWifiKey);
  if (!sized || size != 2 + name_size + password_size) {
    return std::nullopt;
  }
  const char* characters = reinterpret_cast<const char*>(data);
  const WifiSettings wifi{{characters + 1, name_size},
                          {characters + 2 + name_size, password_size}};
  const auto zero = [](char character) { return character == '\0'; };
  if (std::any_of(wifi.name.begin(), wifi.name.end(), zero) ||
      std::any_of(wifi.password.begin(), wifi.password.end(), zero)) {
    return std::nullopt;
  }
  return wifi;
}

}  // namespace noctis
