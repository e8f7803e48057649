// What befalls a device: its link is lost, its power is cut. Drawn from a seed, on the night's
// own time, so that a faster night has its faults faster.
#pragma once

#include <cstdint>

#include "link.hpp"
#include "random.hpp"

namespace noctis::host {

// Mean number per hour of the night; 0: none.
struct FaultRates {
  double link_losses = 0;
  double power_cuts = 0;
};

// The losses of the link: it is cut, or it stalls or goes deaf and then dies, and is back after
// half a second to ten minutes, short ones as likely as long ones (log-uniform).
class LinkFaults {
 public:
  // All losses lie in [from_s, until_s), seconds of the night.
  LinkFaults(double per_hour, std::uint64_t seed, double from_s, double until_s);

  // The state at a moment, which is never earlier than the one asked for before.
  Link at(double night_s);
  // When it changes next; infinity: never again.
  double next_s() const;
  // Losses begun.
  std::uint32_t count() const { return count_; }

 private:
  void draw();

  Random random_;
  double mean_gap_s_;
  double until_s_;
  double asked_s_;
  double drawn_s_;   // of the last loss, as drawn
  double begins_s_;  // of the next loss, or the one that is on
  double dies_s_;
  double ends_s_;
  Link first_ = Link::dead;  // how it begins
  std::uint32_t count_ = 0;
};

struct PowerCut {
  double at_s;  // of the night; infinity: none
  int writes;   // of the flash that still succeed from then on; -1: power fails at once
  double off_s;
};

class PowerFaults {
 public:
  PowerFaults(double per_hour, std::uint64_t seed, double until_s);
  // The next cut of a device that has power from from_s on: in two of three cases in the middle
  // of a write. It is off for one second to two minutes (log-uniform).
  PowerCut next(double from_s);

 private:
  Random random_;
  double mean_gap_s_;
  double until_s_;
};

}  // namespace noctis::host
