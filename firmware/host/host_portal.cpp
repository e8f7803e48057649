#include "host_portal.hpp"

#include <csignal>
#include <cstdio>

#include "spool_identity.hpp"

namespace noctis::host {
namespace {

constexpr const char* kLoopback = "127.0.0.1";
constexpr std::uint32_t kTag = 0xB0B5;

volatile std::sig_atomic_t held = 0;  // the button, until somebody saw it

}  // namespace

bool HostPortal::Air::open(const char* name, const char* password) {
  std::fprintf(stderr, "noctis-device: network %s, password %s\n", name, password);
  return true;
}

void HostPortal::Air::close() { std::fprintf(stderr, "noctis-device: no network any more\n"); }

HostPortal::HostPortal(Provisioner& provisioner, Store& store, const Clock& clock,
                       int page_port, int dns_port)
    : address_(std::string(kLoopback) + ":" + std::to_string(page_port)),
      clock_(clock),
      portal_({provisioner, air_, store, clock, address_}),
      sockets_(kLoopback, static_cast<std::uint16_t>(page_port),
               static_cast<std::uint16_t>(dns_port)) {
  std::signal(SIGUSR1, [](int) { held = 1; });
  portal_.begin(kTag, random_bits(), random_bits());
}

void HostPortal::poll() {
  const std::uint64_t now_ms = clock_.monotonic_ms();
  if (held != 0) {
    held = 0;
    released_ms_ = now_ms + 2 * LongPress::kHeldMs;
  }
  portal_.poll(now_ms < released_ms_);
  if (!sockets_.poll(portal_) && !complained_) {
    std::fprintf(stderr, "noctis-device: %s cannot be listened on; trying on\n",
                 address_.c_str());
    complained_ = true;
  }
}

}  // namespace noctis::host
