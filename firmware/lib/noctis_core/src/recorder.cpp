#include "noctis/recorder.hpp"

#include <algorithm>

namespace noctis {
namespace {

constexpr std::uint64_t kRetryMs = 1000;  // of a flash that refused

}  // namespace

Recorder::Recorder(const Machine& machine)
    : wall_clock_(machine.wall_clock),
      spool_(machine.flash, machine.identity),
      courier_(spool_, machine.uplink, machine.clock, machine.wall_clock, machine.store,
               machine.board, machine.firmware, machine.seed) {}

Spool::Mount Recorder::boot() {
  const Spool::Mount mount = spool_.mount();
  courier_.begin(mount);
  return courier_.erasing() ? Spool::Mount::ready : mount;
}

Epoch Recorder::finish(std::uint32_t now_ms) {
  const Epoch epoch = builder_.finish(now_ms);
  courier_.set_health(builder_.health());
  return epoch;
}

std::optional<std::uint32_t> Recorder::keep(const Epoch& epoch, std::uint64_t start_ms) {
  Timekeeper timekeeper = timekeeper_;
  const auto stamp = timekeeper.stamp(start_ms, wall_clock_.utc_at(start_ms));
  const auto seq = spool_.append(epoch, stamp);
  if (seq) {
    timekeeper_ = timekeeper;
  }
  return seq;
}

void Recorder::poll() {
  courier_.poll();
  spool_.erase_others();
}

void Cadence::begin(std::uint64_t now_ms) {
  start_ms_ = now_ms;
  recorder_.builder().begin(static_cast<std::uint32_t>(now_ms));
}

bool Cadence::step(std::uint64_t now_ms) {
  const bool due = now_ms - start_ms_ >= kEpochMs;
  if (due) {
    if (waiting_ == kMostWaiting) {
      std::copy(made_.begin() + 1, made_.end(), made_.begin());
      --waiting_;
      ++lost_;
    }
    made_[waiting_++] = {recorder_.finish(static_cast<std::uint32_t>(now_ms)), start_ms_};
    // On the grid, unless the task stood still for whole epochs: then the grid breaks.
    start_ms_ =
        now_ms - start_ms_ < 2 * std::uint64_t{kEpochMs} ? start_ms_ + kEpochMs : now_ms;
  }
  if (waiting_ > 0 && now_ms >= retry_ms_) {
    keep();
    retry_ms_ = waiting_ > 0 ? now_ms + kRetryMs : 0;
  }
  return due;
}

void Cadence::keep() {
  while (waiting_ > 0) {
    const auto seq = recorder_.keep(made_[0].epoch, made_[0].start_ms);
    if (!seq) {
      return;
    }
    kept_ = seq;
    recorder_.publish(*seq);
    std::copy(made_.begin() + 1, made_.end(), made_.begin());
    --waiting_;
  }
}

}  // namespace noctis
