// A walk over a range of the spool that the platform asked for again, whatever is marked done.
// It lives in RAM alone: to repeat it harms nothing, and after a boot the platform asks again,
// because it got no answer.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "noctis/spool.hpp"

namespace noctis {

class Resend {
 public:
  // What became of the range. The seqs of RUNs and voids are in none of these.
  struct Counts {
    std::uint32_t stored = 0;       // epochs that the platform has now, or disposed of
    std::uint32_t refused = 0;      // epochs that it does not want
    std::uint32_t overwritten = 0;  // seqs that the spool has no more
  };
  enum class Refusal : std::uint8_t { foreign_stream, overwritten, not_made };

  explicit Resend(Spool& spool) : spool_(spool) {}

  // Begins with [first, last], both included; returns why not where nothing is there. What is
  // not made yet goes live when it is.
  std::optional<Refusal> begin(std::uint64_t stream, std::uint32_t first, std::uint32_t last);
  bool active() const { return active_; }
  // The next frame of the range; false if there is none below `limit`, at least for now.
  bool next(std::uint32_t limit, Frame& frame);
  void sent(const Frame& frame) { cursor_ = frame.last() + 1; }
  // Goes back to there.
  void lost(std::uint32_t first) { cursor_ = std::min(cursor_, first); }
  void stored(std::uint32_t epochs) { counts_.stored += epochs; }
  void refused(std::uint32_t epochs) { counts_.refused += epochs; }
  void overwritten(std::uint32_t seqs) { counts_.overwritten += seqs; }

  // All of the range was sent at least once.
  bool through() const { return cursor_ > last_; }
  void end() { active_ = false; }
  const Counts& counts() const { return counts_; }

 private:
  void pass_overwritten();

  Spool& spool_;
  bool active_ = false;
  std::uint64_t stream_ = 0;
  std::uint32_t last_ = 0;
  std::uint32_t cursor_ = 0;
  Counts counts_;
};

const char* name_of(Resend::Refusal refusal);

}  // namespace noctis
