#include "faults.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace noctis::host {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();
constexpr double kHourS = 3600;
constexpr double kLeastLossS = 0.5;
constexpr double kMostLossS = 600;
constexpr double kLeastOffS = 1;
constexpr double kMostOffS = 120;
// An epoch takes some three writes; entering a sector, or a boot, some more.
constexpr int kMostWrites = 8;

double gap_of(double per_hour) { return per_hour > 0 ? kHourS / per_hour : kNever; }

double exponential(Random& random, double mean) {
  return std::isinf(mean) ? kNever : -mean * std::log(1.0 - random.uniform());
}

double log_uniform(Random& random, double least, double most) {
  return least * std::pow(most / least, random.uniform());
}

}  // namespace

LinkFaults::LinkFaults(double per_hour, std::uint64_t seed, double from_s, double until_s)
    : random_(seed),
      mean_gap_s_(gap_of(per_hour)),
      until_s_(until_s),
      asked_s_(from_s),
      drawn_s_(from_s),
      begins_s_(from_s),
      dies_s_(from_s),
      ends_s_(from_s) {
  draw();
}

// One that would begin during another begins behind it; none outlasts the night.
void LinkFaults::draw() {
  drawn_s_ += exponential(random_, mean_gap_s_);
  begins_s_ = std::max(drawn_s_, ends_s_);
  if (begins_s_ >= until_s_) {
    begins_s_ = dies_s_ = ends_s_ = kNever;
    return;
  }
  ends_s_ = std::min(begins_s_ + log_uniform(random_, kLeastLossS, kMostLossS), until_s_);
  const double length_s = ends_s_ - begins_s_;
  switch (random_.bits() % 4) {
    case 0:
      first_ = Link::deaf;
      dies_s_ = begins_s_ + length_s * random_.uniform();
      break;
    case 1:
      first_ = Link::stalled;
      dies_s_ = begins_s_ + length_s * random_.uniform();
      break;
    default:
      first_ = Link::dead;
      dies_s_ = begins_s_;
  }
}

Link LinkFaults::at(double night_s) {
  asked_s_ = night_s;
  while (night_s >= ends_s_) {
    ++count_;
    draw();
  }
  if (night_s < begins_s_) {
    return Link::sound;
  }
  return night_s < dies_s_ ? first_ : Link::dead;
}

double LinkFaults::next_s() const {
  if (asked_s_ < begins_s_) {
    return begins_s_;
  }
  return asked_s_ < dies_s_ ? dies_s_ : ends_s_;
}

PowerFaults::PowerFaults(double per_hour, std::uint64_t seed, double until_s)
    : random_(seed), mean_gap_s_(gap_of(per_hour)), until_s_(until_s) {}

PowerCut PowerFaults::next(double from_s) {
  const double at_s = from_s + exponential(random_, mean_gap_s_);
  if (at_s >= until_s_) {
    return {kNever, -1, 0};
  }
  const bool in_a_write = random_.uniform() < 2.0 / 3.0;
  const int writes = in_a_write ? static_cast<int>(random_.bits() % kMostWrites) : -1;
  return {at_s, writes, log_uniform(random_, kLeastOffS, kMostOffS)};
}

}  // namespace noctis::host
