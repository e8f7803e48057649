#include "host_board.hpp"

#include <algorithm>
#include <cstdlib>
#include <limits>
#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace noctis::host {

void HostBoard::identify(std::uint32_t seconds) {
  say_(seconds == 0 ? "shows itself no more"
                    : "shows itself for " + std::to_string(seconds) + " s");
}

void HostBoard::allow_light(bool allowed) {
  if (allowed != light_) {
    say_(allowed ? "its light may be on" : "its light stays off");
  }
  light_ = allowed;
}

std::optional<std::uint32_t> HostBoard::free_heap() const {
#ifdef __GLIBC__
  constexpr std::size_t most = std::numeric_limits<std::uint32_t>::max();
  const auto bytes = static_cast<std::uint32_t>(std::min(mallinfo2().fordblks, most));
  least_free_heap_ = std::min(least_free_heap_.value_or(bytes), bytes);
  return bytes;
#else
  return std::nullopt;
#endif
}

std::optional<std::uint32_t> HostBoard::least_free_heap() const {
  free_heap();
  return least_free_heap_;
}

}  // namespace noctis::host
