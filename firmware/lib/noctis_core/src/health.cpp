#include "noctis/health.hpp"

namespace noctis {

const char* name_of(RadarFamily family) {
  switch (family) {
    case RadarFamily::mr60bha2:
      return "mr60bha2";
    case RadarFamily::r60abd1:
      return "r60abd1";
    case RadarFamily::unknown:
      break;
  }
  return "unknown";
}

const char* name_of(RadarState state) {
  switch (state) {
    case RadarState::ok:
      return "ok";
    case RadarState::frozen:
      return "frozen";
    case RadarState::presence_stuck:
      return "presence_stuck";
    case RadarState::silent:
      break;
  }
  return "silent";
}

const char* name_of(AccelState state) {
  switch (state) {
    case AccelState::ok:
      return "ok";
    case AccelState::frozen:
      return "frozen";
    case AccelState::absent:
      break;
  }
  return "absent";
}

}  // namespace noctis
