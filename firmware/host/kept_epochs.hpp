// What append() returned: it must be in the spool after every power cut, unchanged, and nothing
// else may be.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "noctis/spool.hpp"

namespace noctis::host {

// Remembers the newest, a sector and more: a cut does harm where it is written.
class KeptEpochs {
 public:
  // What the spool holds below next_seq is none of ours.
  void begin(std::uint32_t next_seq) { from_ = next_seq; }
  // append() returned `seq`. Returns what is wrong with that; empty: nothing.
  std::string add(std::uint64_t stream, std::uint32_t seq, const Slot& slot);
  // After a boot. `cut` is the epoch that was being appended when the power failed: it may be
  // there or not. Returns what is wrong.
  std::string check(Spool& spool, const std::optional<Slot>& cut);

 private:
  struct Kept {
    std::uint64_t stream;
    std::uint32_t seq;
    Slot slot;
  };

  std::deque<Kept> newest_;
  std::uint32_t from_ = 0;
};

}  // namespace noctis::host
