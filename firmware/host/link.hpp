// How well the connection to the broker carries.
#pragma once

#include <cstdint>

namespace noctis::host {

enum class Link : std::uint8_t {
  sound,
  deaf,     // what is sent arrives, nothing comes back
  stalled,  // nothing arrives, and nobody is told
  dead,     // the connection is cut; no new one comes up
};

}  // namespace noctis::host
