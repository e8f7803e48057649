// The devices' MQTT passwords, from a file or the environment.
#pragma once

#include <map>
#include <string>

namespace noctis::host {

class Passwords {
 public:
  // A file holds one password, or lines `tenant/device:password`. Without a file the variable
  // NOCTIS_DEVICE_PASSWORD holds the password of all; without that there is none.
  bool load(const std::string& path, std::string& error);
  // Empty: none.
  std::string of(const std::string& id) const;

 private:
  std::map<std::string, std::string> by_id_;
  std::string common_;
};

}  // namespace noctis::host
