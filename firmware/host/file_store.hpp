// The store in a file. Each change writes a new file beside it and renames that: whoever is
// killed, and wherever, leaves the old values or the new ones.
//   "NST1" | values: name size u8, name, size u16, bytes | CRC-32 of everything before
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "noctis/store.hpp"

namespace noctis::host {

class FileStore : public Store {
 public:
  // Null and `error` set where the file cannot be read, or is no store: its values are gone
  // then, and that is for a person to decide.
  static std::unique_ptr<FileStore> open(const std::string& path, std::string& error);

  std::optional<std::size_t> get(const char* name, std::uint8_t* to, std::size_t size) override;
  bool put(const char* name, const std::uint8_t* from, std::size_t size) override;
  bool remove(const char* name) override;

 private:
  using Bytes = std::vector<std::uint8_t>;
  using Values = std::map<std::string, Bytes, std::less<>>;

  explicit FileStore(std::string path) : path_(std::move(path)) {}
  static Bytes encode(const Values& values);
  static bool decode(const Bytes& bytes, Values& values);
  bool save(Values values);

  std::string path_;
  Values values_;
};

}  // namespace noctis::host
