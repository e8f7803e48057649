// The golden bytes shared with the Python tests.
#pragma once

#include <cjson/cJSON.h>
#include <doctest/doctest.h>

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

namespace noctis::test {

using Json = std::unique_ptr<cJSON, void (*)(cJSON*)>;

inline Json load_vectors(const std::string& name) {
  std::ifstream file(std::string(NOCTIS_VECTORS) + "/" + name);
  REQUIRE_MESSAGE(file.good(), "missing vectors: ", name);
  std::stringstream text;
  text << file.rdbuf();
  Json json(cJSON_Parse(text.str().c_str()), cJSON_Delete);
  REQUIRE(cJSON_GetArraySize(json.get()) > 0);
  return json;
}

template <typename T = std::uint32_t>
T number(const cJSON* object, const char* key) {
  return static_cast<T>(cJSON_GetObjectItem(object, key)->valuedouble);
}

inline std::string text(const cJSON* object, const char* key) {
  return cJSON_GetObjectItem(object, key)->valuestring;
}

inline std::uint64_t hex64(const cJSON* object, const char* key) {
  return std::strtoull(text(object, key).c_str(), nullptr, 16);
}

inline std::string hex(const std::uint8_t* data, std::size_t size) {
  std::string result;
  for (std::size_t i = 0; i < size; ++i) {
    result += "0123456789abcdef"[data[i] >> 4U];
    result += "0123456789abcdef"[data[i] & 15U];
  }
  return result;
}

inline std::vector<std::uint8_t> unhex(const std::string& digits) {
  std::vector<std::uint8_t> bytes;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
    bytes.push_back(static_cast<std::uint8_t>(std::stoul(digits.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

}  // namespace noctis::test
