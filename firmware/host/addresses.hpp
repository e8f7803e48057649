#pragma once

#include <string>
#include <vector>

namespace noctis::host {

// Where a broker, or a node of one, listens.
struct Address {
  std::string host;
  int port;
};

// "a", "a:1883" or "a:1883,b:1884", with `port` where none is named; empty where it is neither.
std::vector<Address> parse_addresses(const std::string& text, int port);

}  // namespace noctis::host
