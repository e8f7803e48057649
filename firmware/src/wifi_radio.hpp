// Wi-Fi as a station.
#pragma once

#include "noctis/provisioner.hpp"

namespace noctis::esp {

class WifiRadio : public Radio {
 public:
  void begin();
  void join(const WifiSettings& wifi) override;
  bool joined() override;
  void scan() override;
  int scanned() override;
  Network network(int index) override;
};

}  // namespace noctis::esp
