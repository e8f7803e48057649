// The board's own Wi-Fi network, beside the one that it joins.
#pragma once

#include "noctis/portal.hpp"

namespace noctis::esp {

class SoftAp : public AccessPoint {
 public:
  // ESP-IDF's own choice for its access point.
  static constexpr const char* kAddress = "192.168.4.1";

  bool open(const char* name, const char* password) override;
  void close() override;
};

}  // namespace noctis::esp
