// Random power cuts: whatever append() returned is there after every one of them, nothing is
// invented, no seq is given out twice, and every epoch keeps its time.
#include <cstdlib>
#include <map>
#include <set>

#include "spool_helpers.hpp"
#include "torn_nor.hpp"

using namespace noctis;
using namespace noctis::test;

namespace {

constexpr SpoolIdentity kIdentity{0x0E0E0E0E, 0xC41Bu, 0x1122334455667788ULL};

class Torture {
 public:
  Torture(std::uint32_t sectors, std::uint64_t seed)
      : sectors_(sectors), seed_(seed), random_(seed), nor_(sectors, seed + 1) {}

  // One life of the device: boot, look at everything, work until the power fails.
  void live() {
    nor_.power_on();
    first_append_ = true;
    Spool spool(nor_, kIdentity);
    const long writes = nor_.programs + nor_.erases;
    const Spool::Mount mount = spool.mount();
    REQUIRE_MESSAGE(mount != Spool::Mount::unreadable, where());
    ++lives_;
    REQUIRE_MESSAGE(nor_.programs + nor_.erases == writes, where(), ": a mount wears");
    check(spool);
    if (random_() % 4 == 0) {
      return;  // a boot loop: no epoch was ever finished
    }
    if (random_() % 3 == 0) {
      // Cut where a sector is entered: the header and the erase are the delicate writes.
      do {
        work(spool);
      } while (spool.next_seq() % layout::kSlotsPerSector < layout::kSlotsPerSector - 1);
      nor_.cut_after(static_cast<long>(random_() % 8));
    } else {
      nor_.cut_after(budget());
    }
    while (!nor_.dead()) {
      work(spool);
    }
  }

  long appended() const { return appended_; }
  long overwritten() const { return overwritten_; }

 private:
  struct Made {
    Slot slot;
    std::uint32_t tick_s;
    enum class Done { no, torn, yes } done;
  };

  std::string where() const {
    return "seed " + std::to_string(seed_) + ", " + std::to_string(sectors_) +
           " sectors, life " + std::to_string(lives_);
  }

  long budget() {
    if (random_() % 4 == 0) {
      return static_cast<long>(random_() % 8);
    }
    return static_cast<long>(random_() % (random_() % 8 == 0 ? 2500 : 300));
  }

  // What the ring no longer holds for certain.
  void forget(const Spool& spool) {
    const std::uint32_t head = (spool.next_seq() - 1) / layout::kSlotsPerSector;
    if (head + 2 <= sectors_) {
      return;
    }
    const std::uint32_t limit = (head + 2 - sectors_) * layout::kSlotsPerSector;
    while (!made_.empty() && made_.begin()->first < limit) {
      made_.erase(made_.begin());
      ++overwritten_;
    }
    seen_.erase(seen_.begin(), seen_.lower_bound(limit));
  }

  void check(Spool& spool) {
    forget(spool);
    const bool thorough = lives_ % 16 == 0;
    const std::uint32_t next = spool.next_seq();
    const std::uint32_t from = thorough || next < 700 ? 0 : next - 700;
    std::map<std::uint32_t, EpochRecord> visible;
    SpoolReader reader(spool, from, next, SpoolReader::Which::all);
    EpochRecord record{};
    while (reader.next(record)) {
      visible[record.seq] = record;
      check_genuine(record);
    }
    for (auto made = made_.lower_bound(from); made != made_.end(); ++made) {
      REQUIRE_MESSAGE(visible.count(made->first) == 1, where(), ": lost ", made->first);
      REQUIRE_MESSAGE(visible[made->first].slot == made->second.slot, where());
    }
    if (thorough) {
      check_backlog(spool);
    }
  }

  void check_genuine(const EpochRecord& record) {
    const auto attempt = attempts_.find(record.slot);
    REQUIRE_MESSAGE(attempt != attempts_.end(), where(), ": invented ", record.seq);
    const auto [known, first_time] = seen_.emplace(record.seq, record.slot);
    REQUIRE_MESSAGE(known->second == record.slot, where(), ": seq reused ", record.seq);
    const auto place = places_.emplace(record.slot, record.seq).first;
    REQUIRE_MESSAGE(place->second == record.seq, where(), ": made twice ", record.seq);
    const std::uint32_t tick =
        decode_run(record.run).tick_s + 30 * (record.seq - record.run_seq - 1);
    REQUIRE_MESSAGE(tick == attempt->second, where(), ": wrong time ", record.seq);
    highest_seq_ = std::max(highest_seq_, static_cast<std::int64_t>(record.seq));
  }

  void check_backlog(Spool& spool) {
    std::set<std::uint32_t> pending;
    for (const ReadFrame& frame : sweep(spool)) {
      for (std::uint32_t i = 0; i < frame.slots.size(); ++i) {
        pending.insert(frame.first + i);
      }
    }
    for (const auto& [seq, made] : made_) {
      if (made.done != Made::Done::torn) {
        REQUIRE_MESSAGE((pending.count(seq) == 0) == (made.done == Made::Done::yes), where(),
                        ": done or not? ", seq);
      }
    }
  }

  void work(Spool& spool) {
    const Epoch epoch = random_epoch(random_);
    const Slot slot = encode_slot(epoch);
    tick_s_ += 30;
    EpochStamp stamp{tick_s_, 0, std::nullopt};
    if (random_() % 50 == 0) {
      stamp.tick_s = tick_s_ += 17;
      stamp.breaks = RunReason::grid;
    }
    attempts_[slot] = stamp.tick_s;
    const std::uint32_t next = spool.next_seq();
    const auto seq = spool.append(epoch, stamp);
    forget(spool);
    if (nor_.dead()) {
      return;
    }
    REQUIRE_MESSAGE(seq, where());
    REQUIRE_MESSAGE(static_cast<std::int64_t>(*seq) > highest_seq_, where(), ": seq reused");
    highest_seq_ = *seq;
    // At most a burnt slot, the RUN of a boot, the RUN of a sector: no cut costs a sector.
    REQUIRE_MESSAGE(*seq - next <= 3, where(), ": wasted ", *seq - next);
    if (first_append_) {
      keep_what_is_seen(spool, *seq);
    }
    made_[*seq] = {slot, stamp.tick_s, Made::Done::no};
    ++appended_;
    if (random_() % 3 == 0) {
      acknowledge(spool, *seq);
    }
  }

  // The first append of a life has put right what the cut left: what is there now stays.
  void keep_what_is_seen(Spool& spool, std::uint32_t next) {
    first_append_ = false;
    SpoolReader reader(spool, next - std::min(next, 20U), next, SpoolReader::Which::all);
    EpochRecord record{};
    while (reader.next(record)) {
      check_genuine(record);
      made_.insert({record.seq, {record.slot, attempts_[record.slot], Made::Done::torn}});
    }
  }

  void acknowledge(Spool& spool, std::uint32_t last) {
    const auto count = static_cast<std::uint32_t>(random_() % 20);
    const std::uint32_t first = last - std::min(last, count);
    for (auto made = made_.lower_bound(first); made != made_.end(); ++made) {
      if (made->second.done == Made::Done::no) {
        made->second.done = Made::Done::torn;
      }
    }
    spool.mark_done(spool.stream(), first, 300);  // far into seqs still to come
    if (nor_.dead()) {
      return;
    }
    for (auto made = made_.lower_bound(first); made != made_.end(); ++made) {
      made->second.done = Made::Done::yes;
    }
  }

  std::uint32_t sectors_;
  std::uint64_t seed_;
  std::mt19937_64 random_;
  TornNor nor_;
  std::map<std::uint32_t, Made> made_;      // append() returned
  std::map<Slot, std::uint32_t> attempts_;  // every epoch ever given to append(), its tick_s
  std::map<std::uint32_t, Slot> seen_;
  std::map<Slot, std::uint32_t> places_;
  std::int64_t highest_seq_ = -1;
  std::uint32_t tick_s_ = 0;
  bool first_append_ = true;
  long lives_ = 0, appended_ = 0, overwritten_ = 0;
};

// NOCTIS_CUTS and NOCTIS_SEED make a longer or another run.
long number_from(const char* name, long otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : std::atol(value);
}

}  // namespace

TEST_CASE("nothing is lost, invented or renumbered over thousands of power cuts") {
  const long cuts = number_from("NOCTIS_CUTS", 6000);
  const auto seed = static_cast<std::uint64_t>(number_from("NOCTIS_SEED", 11));
  for (std::uint64_t round = 0; round < 6; ++round) {
    Torture torture(4 + static_cast<std::uint32_t>(round % 3), seed + round);
    for (long life = 0; life < cuts / 6; ++life) {
      torture.live();
    }
    CHECK(torture.appended() > cuts / 6);
    MESSAGE("appended ", torture.appended(), ", overwritten ", torture.overwritten());
  }
}
