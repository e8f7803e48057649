#include "addresses.hpp"

#include <charconv>
#include <sstream>

namespace noctis::host {

std::vector<Address> parse_addresses(const std::string& text, int port) {
  std::vector<Address> addresses;
  std::istringstream parts(text + ",");
  for (std::string part; std::getline(parts, part, ',');) {
    const bool is_ipv6 = part.find(':') != part.rfind(':');
    const auto colon = is_ipv6 ? std::string::npos : part.find(':');
    Address address{part.substr(0, colon), port};
    if (colon != std::string::npos) {
      const char* const end = part.data() + part.size();
      const auto [rest, error] = std::from_chars(part.data() + colon + 1, end, address.port);
      if (error != std::errc() || rest != end || address.port < 1 || address.port > 65535) {
        return {};
      }
    }
    if (address.host.empty()) {
      return {};
    }
    addresses.push_back(address);
  }
  return addresses;
}

}  // namespace noctis::host
