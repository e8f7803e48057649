// A device that lives from one power cut to the next, and a ledger that misses nothing.
#pragma once

#include <doctest/doctest.h>

#include <cstdint>
#include <functional>
#include <random>

#include "spool_ledger.hpp"
#include "torn_nor.hpp"

namespace noctis::test {

inline constexpr SpoolIdentity kTortured{0x0E0E0E0E, 0xC41B, 0x1122334455667788};

class Torture {
 public:
  // The spool lives on `flash`, whose bits and whose power are those of `nor`.
  Torture(Flash& flash, TornNor& nor, std::uint64_t seed)
      : flash_(flash), nor_(nor), random_(seed), ledger_(nor.sectors()) {}

  // One life: boot, look at all (or at the newest 700 seqs), work until the power fails.
  void live(bool thorough) {
    ++lives_;
    INFO("life ", lives_);
    Spool spool(flash_, kTortured);
    boot(spool, thorough);
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
      nor_.cut_after(writes());
    }
    while (!nor_.dead()) {
      work(spool);
    }
  }

  // A life without a cut, that fills so many sectors.
  void live_long(std::uint32_t sectors) {
    Spool spool(flash_, kTortured);
    boot(spool, true);
    const std::uint32_t end = spool.next_seq() + sectors * layout::kSlotsPerSector;
    while (spool.next_seq() < end) {
      work(spool);
    }
  }

  long epochs() const { return ledger_.appended_count(); }

  std::function<void()> before_boot;  // with the power on again

 private:
  void boot(Spool& spool, bool thorough) {
    nor_.power_on();
    if (before_boot) {
      before_boot();
    }
    first_append_ = true;
    const long writes = nor_.programs + nor_.erases;
    REQUIRE(spool.mount() != Spool::Mount::unreadable);
    REQUIRE(nor_.programs + nor_.erases == writes);  // a boot loop wears nothing
    const std::uint32_t next = spool.next_seq();
    ledger_.check(spool, nor_, thorough ? 0 : next - std::min(next, 700U));
    if (thorough) {
      ledger_.check_backlog(spool);
    }
  }

  long writes() {
    if (random_() % 4 == 0) {
      return static_cast<long>(random_() % 8);
    }
    return static_cast<long>(random_() % (random_() % 8 == 0 ? 2500 : 300));
  }

  void work(Spool& spool) {
    tick_s_ += 30;
    EpochStamp stamp{tick_s_, 0, std::nullopt};
    if (random_() % 50 == 0) {
      stamp.tick_s = tick_s_ += 17;
      stamp.breaks = RunReason::grid;
    }
    const Epoch epoch = ledger_.attempt(stamp.tick_s, random_);
    const std::uint32_t next = spool.next_seq();
    const auto seq = spool.append(epoch, stamp);
    if (nor_.dead()) {
      return;
    }
    REQUIRE(seq);
    // At most a burnt slot, the RUN of a boot, the RUN of a sector: no cut costs a sector.
    REQUIRE(*seq - next <= 3);
    if (first_append_) {
      first_append_ = false;
      ledger_.keep_what_is_seen(spool, *seq);
    }
    ledger_.appended(*seq);
    if (random_() % 3 == 0) {
      acknowledge(spool, *seq);
    }
  }

  void acknowledge(Spool& spool, std::uint32_t last) {
    const auto count = static_cast<std::uint32_t>(random_() % (random_() % 16 == 0 ? 600 : 20));
    const std::uint32_t first = last - std::min(last, count);
    ledger_.acknowledging(first);
    spool.mark_done(spool.stream(), first, count + 300);  // far into seqs still to come
    if (!nor_.dead()) {
      ledger_.acknowledged(first);
    }
  }

  Flash& flash_;
  TornNor& nor_;
  std::mt19937_64 random_;
  Ledger ledger_;
  std::uint32_t tick_s_ = 0;
  bool first_append_ = true;
  long lives_ = 0;
};

}  // namespace noctis::test
