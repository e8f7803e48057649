#include "noctis/board.hpp"

namespace noctis {

const char* name_of(ResetReason reason) {
  switch (reason) {
    case ResetReason::power_on:
      return "power_on";
    case ResetReason::software:
      return "software";
    case ResetReason::panic:
      return "panic";
    case ResetReason::watchdog:
      return "watchdog";
    case ResetReason::brownout:
      return "brownout";
    case ResetReason::external:
      return "external";
    case ResetReason::sleep:
      return "sleep";
    case ResetReason::unknown:
      break;
  }
  return "unknown";
}

}  // namespace noctis
