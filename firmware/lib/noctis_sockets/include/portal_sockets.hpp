// The portal's page and its DNS over sockets: those of POSIX, which lwIP has, too.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "noctis/dns.hpp"
#include "noctis/portal.hpp"

namespace noctis {

class PortalSockets {
 public:
  // IPv4, of the access point.
  PortalSockets(const char* address, std::uint16_t page_port, std::uint16_t dns_port)
      : address_(address), page_port_(page_port), dns_port_(dns_port) {}
  ~PortalSockets() { close(); }
  PortalSockets(const PortalSockets&) = delete;
  PortalSockets& operator=(const PortalSockets&) = delete;

  // Listens while the portal is open, and serves whoever came; to be called every few
  // milliseconds. False: the portal is open, and the address or a port is not to be had.
  bool poll(Portal& portal);

 private:
  static constexpr int kNone = -1;

  struct Guest : Port {
    void write(const std::uint8_t* data, std::size_t size) override;

    int socket = kNone;
    bool leaving = false;  // it was answered, and is to end first
  };

  bool open();
  void close();
  void welcome(Portal& portal);
  void serve(Portal& portal, std::size_t number);
  void dismiss(Portal& portal, std::size_t number);
  void answer_names() const;

  const char* address_;
  std::uint16_t page_port_;
  std::uint16_t dns_port_;
  Ipv4 ipv4_{};
  int page_ = kNone;
  int dns_ = kNone;
  std::array<Guest, Portal::kVisits> guests_;
};

}  // namespace noctis
