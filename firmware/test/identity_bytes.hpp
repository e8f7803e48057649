// Identities as the platform writes them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "noctis/bytes.hpp"
#include "noctis/crc.hpp"

namespace noctis::test {

using Written = std::vector<std::uint8_t>;

inline void put_field(Written& bytes, std::uint8_t tag, const std::string& value) {
  bytes.push_back(tag);
  bytes.push_back(static_cast<std::uint8_t>(value.size()));
  bytes.push_back(static_cast<std::uint8_t>(value.size() >> 8U));
  bytes.insert(bytes.end(), value.begin(), value.end());
}

inline Written sealed(Written bytes) {
  const std::uint32_t crc = crc32(bytes.data(), bytes.size());
  bytes.resize(bytes.size() + 4);
  put_u32(&bytes[bytes.size() - 4], crc);
  return bytes;
}

struct IdentityFields {
  std::string tenant = "home";
  std::string device = "bed-1";
  std::string host = "192.168.1.10";
  std::string port = "\xB3\x22";  // 8883
  std::string password = "a password";
  std::string ca;
  std::string certificate;
  std::string key;
  std::string update_keys;
};

inline Written written(const IdentityFields& fields) {
  Written bytes{'N', 'I', 1};
  std::uint8_t tag = 0;
  for (const std::string& value :
       {fields.tenant, fields.device, fields.host, fields.port, fields.password, fields.ca,
        fields.certificate, fields.key, fields.update_keys}) {
    ++tag;
    if (!value.empty()) {
      put_field(bytes, tag, value);
    }
  }
  return sealed(bytes);
}

}  // namespace noctis::test
