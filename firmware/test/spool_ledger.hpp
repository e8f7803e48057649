// What a spool must hold, whatever the power did. Every epoch given to append() is in the
// ledger with its time; check() compares all that a spool gives out with it.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "noctis/bytes.hpp"
#include "noctis/crc.hpp"
#include "noctis/spool.hpp"
#include "spool_helpers.hpp"
#include "torn_nor.hpp"

namespace noctis::test {

class Ledger {
 public:
  explicit Ledger(std::uint32_t sectors) : sectors_(sectors) {}

  // A new epoch to append, to begin at tick_s.
  Epoch attempt(std::uint32_t tick_s, std::mt19937_64& random) {
    Slot slot{};
    put_u64(slot.data(), random());
    put_u64(slot.data() + 5, random());
    // Its number in the lowest bits behind the kind tells it from every other.
    const auto number = static_cast<std::uint32_t>(attempts_.size());
    put_u32(slot.data(), (number & kNumberMask) << 1U);
    slot.back() = crc8(slot.data(), slot.size() - 1);
    attempts_.push_back({slot, tick_s, -1});
    return decode_epoch(slot);
  }
  // append() returned its seq.
  void appended(std::uint32_t seq) {
    require(static_cast<std::int64_t>(seq) > highest_seq_, "seq reused", seq);
    highest_seq_ = seq;
    const auto number = static_cast<std::uint32_t>(attempts_.size() - 1);
    attempts_[number].place = seq;
    at(seq) = {number, Known::State::made, Done::no};
    forget_below_head(seq / layout::kSlotsPerSector);
  }
  long appended_count() const { return static_cast<long>(attempts_.size()); }
  std::uint32_t next_seq() const { return static_cast<std::uint32_t>(known_.size()); }

  // An acknowledgement of all from `first` on is about to be marked; it has been marked.
  void acknowledging(std::uint32_t first) { mark(first, Done::no, Done::torn); }
  void acknowledged(std::uint32_t first) { mark(first, Done::torn, Done::yes); }

  // Right after a mount: what the spool gives out from seq `from` on is what it must be.
  void check(Spool& spool, TornNor& nor, std::uint32_t from = 0) {
    forget_below_head(head_of(spool, nor));
    SpoolReader reader(spool, from, spool.next_seq(), SpoolReader::Which::all);
    EpochRecord record{};
    std::uint32_t expected = std::max(from, limit_);
    while (reader.next(record)) {
      require_none_made(expected, record.seq);
      check_genuine(record);
      expected = std::max(expected, record.seq + 1);
    }
    require_none_made(expected, static_cast<std::uint32_t>(known_.size()));
  }

  // What is not acknowledged is in the backlog, what is acknowledged is not.
  void check_backlog(Spool& spool) {
    std::uint32_t expected = limit_;
    for (const ReadFrame& frame : sweep(spool)) {
      require_none_owed(expected, frame.first);
      for (std::uint32_t i = 0; i < frame.slots.size(); ++i) {
        const std::uint32_t seq = frame.first + i;
        require(seq < limit_ || !made(seq) || known_[seq].done != Done::yes, "sent again", seq);
      }
      expected = std::max(expected, frame.first + std::uint32_t(frame.slots.size()));
    }
    require_none_owed(expected, static_cast<std::uint32_t>(known_.size()));
  }

  // The first append after a mount has put right what a cut left: what is there now, stays.
  void keep_what_is_seen(Spool& spool, std::uint32_t next) {
    SpoolReader reader(spool, next - std::min(next, 20U), next, SpoolReader::Which::all);
    EpochRecord record{};
    while (reader.next(record)) {
      check_genuine(record);
      Known& known = at(record.seq);
      if (known.state != Known::State::made) {
        known = {known.number, Known::State::made, Done::torn};
      }
    }
  }

 private:
  static constexpr std::uint32_t kNumberMask = 0x7FFFFFFF;

  enum class Done : std::uint8_t { no, torn, yes };
  struct Attempt {
    Slot slot;
    std::uint32_t tick_s;
    std::int64_t place;  // the seq under which it was ever seen; -1: never
  };
  struct Known {
    enum class State : std::uint8_t { nothing, seen, made };
    std::uint32_t number;
    State state;
    Done done;
  };

  static void require(bool good, const char* what, std::uint32_t seq) {
    if (!good) {
      FAIL(std::string(what), ": seq ", seq);
    }
  }

  Known& at(std::uint32_t seq) {
    if (seq >= known_.size()) {
      known_.resize(seq + 1, {0, Known::State::nothing, Done::no});
    }
    return known_[seq];
  }
  bool made(std::uint32_t seq) const {
    return seq < known_.size() && known_[seq].state == Known::State::made;
  }
  void mark(std::uint32_t first, Done from, Done to) {
    for (std::uint32_t seq = std::max(first, limit_); seq < known_.size(); ++seq) {
      if (made(seq) && known_[seq].done == from) {
        known_[seq].done = to;
      }
    }
  }
  void require_none_made(std::uint32_t from, std::uint32_t to) const {
    for (std::uint32_t seq = from; seq < to; ++seq) {
      require(!made(seq), "lost", seq);
    }
  }
  void require_none_owed(std::uint32_t from, std::uint32_t to) const {
    for (std::uint32_t seq = from; seq < to; ++seq) {
      require(!made(seq) || known_[seq].done != Done::no, "owed and not in the backlog", seq);
    }
  }

  static bool intact_header(TornNor& nor, std::uint32_t sector_no) {
    layout::HeaderBytes bytes{};
    nor.read(sector_no % nor.sectors() * Flash::kSectorSize, bytes.data(), bytes.size());
    const auto header = layout::decode_header(bytes.data());
    return header && header->sector_no == sector_no;
  }
  // The newest sector. Where it is just full or just begun, the seqs do not tell: the chip
  // does.
  static std::uint32_t head_of(const Spool& spool, TornNor& nor) {
    const std::uint32_t next = spool.next_seq() / layout::kSlotsPerSector;
    if (spool.next_seq() % layout::kSlotsPerSector != 0 || next == 0) {
      return next;
    }
    // A torn header may read well at times. As long as it does not always, nothing is erased
    // for it, and the oldest sector is only hidden.
    const std::uint32_t oldest = next + 1 - nor.sectors();
    const bool hidden = next + 1 >= nor.sectors() && intact_header(nor, oldest) &&
                        spool.first_seq() > oldest * layout::kSlotsPerSector;
    return intact_header(nor, next) || hidden ? next : next - 1;
  }
  // What the ring no longer holds for certain: the gap and what is older.
  void forget_below_head(std::uint32_t head) {
    if (head + 2 > sectors_) {
      limit_ = std::max(limit_, (head + 2 - sectors_) * layout::kSlotsPerSector);
    }
  }

  void check_genuine(const EpochRecord& record) {
    const std::uint32_t number = (get_u32(record.slot.data()) >> 1U) & kNumberMask;
    require(number < attempts_.size() && attempts_[number].slot == record.slot, "invented",
            record.seq);
    Attempt& attempt = attempts_[number];
    require(attempt.place < 0 || attempt.place == record.seq, "made twice", record.seq);
    attempt.place = record.seq;
    Known& known = at(record.seq);
    require(known.state == Known::State::nothing || known.number == number, "seq reused",
            record.seq);
    if (known.state == Known::State::nothing) {
      known = {number, Known::State::seen, Done::torn};
    }
    const std::uint32_t tick_s =
        decode_run(record.run).tick_s + 30 * (record.seq - record.run_seq - 1);
    require(tick_s == attempt.tick_s, "wrong time", record.seq);
    highest_seq_ = std::max(highest_seq_, static_cast<std::int64_t>(record.seq));
  }

  std::uint32_t sectors_;
  std::uint32_t limit_ = 0;
  std::vector<Attempt> attempts_;  // by number
  std::vector<Known> known_;       // by seq
  std::int64_t highest_seq_ = -1;
};

}  // namespace noctis::test
