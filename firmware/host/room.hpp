// The air of a room with one Wi-Fi network in it.
#pragma once

#include <cstdio>
#include <string>
#include <utility>

#include "noctis/provisioner.hpp"

namespace noctis::host {

class Room : public Radio {
 public:
  Room(std::string name, std::string password)
      : name_(std::move(name)), password_(std::move(password)) {}

  void join(const WifiSettings& wifi) override {
    joined_ = wifi.name == name_ && wifi.password == password_;
  }
  bool joined() override { return joined_; }
  void scan() override {}
  int scanned() override { return 1; }
  Network network(int) override {
    Network network{{}, -50, !password_.empty()};
    std::snprintf(network.name.data(), network.name.size(), "%s", name_.c_str());
    return network;
  }

 private:
  std::string name_;
  std::string password_;
  bool joined_ = false;
};

}  // namespace noctis::host
