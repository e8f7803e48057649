// Decides when a new time base (RUN) begins: times live nowhere else.
//
// Holds for 8.5 years of uptime (a RUN's tick_s has 28 bits) and until 2106 (its utc_s, 32).
#pragma once

#include <cstdint>

#include "noctis/spool.hpp"

namespace noctis {

class Timekeeper {
 public:
  // The stamp of an epoch that began at start_ms (monotonic) and utc_ms (0: unknown). Between
  // two breaks the stamps lie on one exact 30 s grid, whatever the clocks drift meanwhile.
  EpochStamp stamp(std::uint64_t start_ms, std::uint64_t utc_ms);

 private:
  std::optional<RunReason> broken(std::uint64_t start_ms, std::uint64_t utc_ms) const;
  std::uint64_t expected_utc_ms(std::uint64_t start_ms) const;

  bool begun_ = false;
  std::uint64_t anchor_ms_ = 0;      // start of the run's first epoch
  std::uint64_t anchor_utc_ms_ = 0;  // 0: unknown
  std::uint32_t epochs_ = 0;         // of the run so far
};

}  // namespace noctis
