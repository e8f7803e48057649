// The portal of a virtual device: its page on the loopback address. SIGUSR1 is its boot button.
#pragma once

#include <string>

#include "noctis/portal.hpp"
#include "portal_sockets.hpp"

namespace noctis::host {

class HostPortal {
 public:
  HostPortal(Provisioner& provisioner, Store& store, const Clock& clock, int page_port,
             int dns_port);
  void poll();

 private:
  // Whoever is on this computer is in it.
  struct Air : AccessPoint {
    bool open(const char* name, const char* password) override;
    void close() override;
  };

  std::string address_;
  const Clock& clock_;
  Air air_;
  Portal portal_;
  PortalSockets sockets_;
  std::uint64_t released_ms_ = 0;  // until then its button is held
  bool complained_ = false;
};

}  // namespace noctis::host
