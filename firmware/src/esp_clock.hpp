// The monotonic clock, and UTC from SNTP.
#pragma once

#include "noctis/clock.hpp"
#include "noctis/wall_clock.hpp"

namespace noctis::esp {

class EspClock : public Clock {
 public:
  std::uint64_t monotonic_ms() const override;
};

// Begins to ask time servers; once, when there is a network.
void start_sntp();
// Tells what they answered since the last call, if they did.
void hear_sntp(WallClock& wall_clock);

}  // namespace noctis::esp
