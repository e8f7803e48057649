#include "passwords.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>

namespace noctis::host {

bool Passwords::load(const std::string& path, std::string& error) {
  if (path.empty()) {
    const char* value = std::getenv("NOCTIS_DEVICE_PASSWORD");
    common_ = value == nullptr ? "" : value;
    return true;
  }
  std::ifstream file(path);
  if (!file) {
    error = "cannot read the password file " + path + ": " + std::strerror(errno);
    return false;
  }
  std::string line;
  while (std::getline(file, line)) {
    if (!line.empty() && line.back() == '\r') {
      line.pop_back();
    }
    // An id is everything up to the first ':', and holds a '/'.
    const std::size_t colon = line.find(':');
    if (colon != std::string::npos && line.substr(0, colon).find('/') != std::string::npos) {
      by_id_[line.substr(0, colon)] = line.substr(colon + 1);
    } else if (!line.empty()) {
      common_ = line;
    }
  }
  if (by_id_.empty() && common_.empty()) {
    error = "the password file " + path +
            " is empty: it takes one password, or lines tenant/device:password";
    return false;
  }
  return true;
}

std::string Passwords::of(const std::string& id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? common_ : found->second;
}

}  // namespace noctis::host
