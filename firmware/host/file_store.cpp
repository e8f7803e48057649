#include "file_store.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string_view>
#include <utility>

#include "noctis/bytes.hpp"
#include "noctis/crc.hpp"

namespace noctis::host {
namespace {

constexpr std::string_view kMagic = "NST1";
constexpr std::size_t kCrcSize = 4;

bool good_name(std::string_view name) {
  return !name.empty() && name.size() <= Store::kMostName;
}

}  // namespace

FileStore::Bytes FileStore::encode(const Values& values) {
  Bytes bytes(kMagic.begin(), kMagic.end());
  for (const auto& [name, value] : values) {
    bytes.push_back(static_cast<std::uint8_t>(name.size()));
    bytes.insert(bytes.end(), name.begin(), name.end());
    bytes.push_back(static_cast<std::uint8_t>(value.size() & 0xFFU));
    bytes.push_back(static_cast<std::uint8_t>(value.size() >> 8U));
    bytes.insert(bytes.end(), value.begin(), value.end());
  }
  std::array<std::uint8_t, kCrcSize> crc{};
  put_u32(crc.data(), crc32(bytes.data(), bytes.size()));
  bytes.insert(bytes.end(), crc.begin(), crc.end());
  return bytes;
}

bool FileStore::decode(const Bytes& bytes, Values& values) {
  const std::size_t end = bytes.size() - std::min(bytes.size(), kCrcSize);
  if (end < kMagic.size() || std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) != 0 ||
      crc32(bytes.data(), end) != get_u32(&bytes[end])) {
    return false;
  }
  for (std::size_t at = kMagic.size(); at < end;) {
    const std::size_t name_size = bytes[at++];
    if (end - at < name_size + 2) {
      return false;
    }
    std::string name(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                     bytes.begin() + static_cast<std::ptrdiff_t>(at + name_size));
    at += name_size;
    const std::size_t size = bytes[at] | static_cast<std::size_t>(bytes[at + 1]) << 8U;
    at += 2;
    if (end - at < size) {
      return false;
    }
    const auto begin = bytes.begin() + static_cast<std::ptrdiff_t>(at);
    values[std::move(name)] = Bytes(begin, begin + static_cast<std::ptrdiff_t>(size));
    at += size;
  }
  return true;
}

std::unique_ptr<FileStore> FileStore::open(const std::string& path, std::string& error) {
  std::unique_ptr<FileStore> store(new FileStore(path));
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    if (errno == ENOENT) {
      return store;
    }
    error = "cannot read the store " + path + ": " + std::strerror(errno);
    return nullptr;
  }
  const Bytes bytes{std::istreambuf_iterator<char>(file), {}};
  if (!decode(bytes, store->values_)) {
    error = path + " is no store of settings, or is damaged: move it away to begin without";
    return nullptr;
  }
  return store;
}

bool FileStore::save(Values values) {
  const std::string fresh = path_ + ".new";
  const Bytes bytes = encode(values);
  std::ofstream file(fresh, std::ios::binary | std::ios::trunc);
  file.write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
  file.close();
  if (!file.good() || std::rename(fresh.c_str(), path_.c_str()) != 0) {
    return false;
  }
  values_ = std::move(values);
  return true;
}

std::optional<std::size_t> FileStore::get(const char* name, std::uint8_t* to,
                                          std::size_t size) {
  const auto found = values_.find(std::string_view(name));
  if (found == values_.end() || found->second.size() > size) {
    return std::nullopt;
  }
  std::copy(found->second.begin(), found->second.end(), to);
  return found->second.size();
}

bool FileStore::put(const char* name, const std::uint8_t* from, std::size_t size) {
  if (!good_name(name) || size > kMostLarge) {
    return false;
  }
  Values values = values_;
  values[name] = Bytes(from, from + size);
  return save(std::move(values));
}

bool FileStore::remove(const char* name) {
  Values values = values_;
  return values.erase(name) == 0 || save(std::move(values));
}

}  // namespace noctis::host
