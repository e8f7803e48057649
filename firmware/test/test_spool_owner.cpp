// A device that is given away: what the old owner slept is erased once the new one has begun.
#include "noctis/spool.hpp"
#include "spool_helpers.hpp"
#include "torn_nor.hpp"

using namespace noctis;
using namespace noctis::test;

namespace {

constexpr std::uint32_t kSectors = 8;
constexpr SpoolIdentity kOld{0x11111111, 0x22222222, 0xAAAAAAAAAAAAAAAAULL};
constexpr SpoolIdentity kNew{0x99999999, 0x22222222, 0xBBBBBBBBBBBBBBBBULL};

void append(Spool& spool, std::mt19937_64& random, int count) {
  for (int i = 0; i < count; ++i) {
    spool.append(random_epoch(random), {static_cast<std::uint32_t>(30 * i), 0, {}});
  }
}

std::uint32_t sectors_of(TornNor& nor, std::uint32_t owner) {
  std::uint32_t count = 0;
  for (std::uint32_t sector = 0; sector < nor.sectors(); ++sector) {
    layout::HeaderBytes bytes{};
    nor.read(sector * Flash::kSectorSize, bytes.data(), bytes.size());
    const auto header = layout::decode_header(bytes.data());
    count += header && header->owner == owner ? 1 : 0;
  }
  return count;
}

void erase_all_others(Spool& spool) {
  for (int steps = 0; spool.erase_others(); ++steps) {
    REQUIRE(steps < 100);
  }
}

std::uint32_t epochs(Spool& spool) {
  SpoolReader reader(spool, 0, spool.next_seq(), SpoolReader::Which::all);
  EpochRecord record{};
  std::uint32_t count = 0;
  while (reader.next(record)) {
    ++count;
  }
  return count;
}

}  // namespace

TEST_CASE("what the old owner slept is erased once the new one has an epoch, and not before") {
  TornNor nor(kSectors, 1);
  std::mt19937_64 random(1);
  Spool old(nor, kOld);
  old.mount();
  append(old, random, 4 * 279 + 5);
  REQUIRE(sectors_of(nor, kOld.owner) == 5);

  Spool spool(nor, kNew);
  CHECK(spool.mount() == Spool::Mount::new_stream);
  CHECK(spool.erase_others());  // it waits
  CHECK(sectors_of(nor, kOld.owner) == 5);
  append(spool, random, 3);
  erase_all_others(spool);
  CHECK(sectors_of(nor, kOld.owner) == 0);
  CHECK(epochs(spool) == 3);
  CHECK(spool.backlog() == 3);
  CHECK_FALSE(spool.erase_others());
}

TEST_CASE("nobody's own epochs are erased, of whichever chip and stream") {
  TornNor nor(kSectors, 1);
  std::mt19937_64 random(1);
  Spool moved(nor, {kOld.owner, 0x77777777, 1});
  moved.mount();
  append(moved, random, 300);
  Spool spool(nor, kOld);
  spool.mount();
  append(spool, random, 300);
  CHECK_FALSE(spool.erase_others());
  CHECK(epochs(spool) == 600);
}

TEST_CASE("a flash that refuses to erase is asked until it does") {
  TornNor nor(kSectors, 1);
  std::mt19937_64 random(1);
  Spool old(nor, kOld);
  old.mount();
  append(old, random, 10);
  Spool spool(nor, kNew);
  spool.mount();
  append(spool, random, 1);
  nor.cut_after(0);
  CHECK(spool.erase_others());
  CHECK(spool.erase_others());
  nor.power_on();
  Spool again(nor, kNew);
  CHECK(again.mount() == Spool::Mount::ready);
  CHECK(epochs(again) == 1);
}

TEST_CASE("wherever the power fails while a device changes hands, no old header survives it") {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    TornNor nor(kSectors, seed);
    std::mt19937_64 random(seed);
    Spool old(nor, kOld);
    old.mount();
    append(old, random, static_cast<int>(random() % 2500));
    std::uint32_t stored = 0;
    for (std::uint32_t boot = 0; boot < 4; ++boot) {
      nor.power_on();
      if (boot < 3) {
        nor.cut_after(static_cast<long>(random() % 20));
      }
      Spool spool(nor, {kNew.owner, kNew.chip, random()});
      REQUIRE(spool.mount() != Spool::Mount::unreadable);
      REQUIRE(epochs(spool) >= stored);
      REQUIRE(epochs(spool) <= stored + boot);  // a cut append may have come through
      for (std::uint32_t i = 0; i < 3 && !nor.dead(); ++i) {
        const auto seq = spool.append(random_epoch(random), {30 * i, 0, {}});
        stored += seq && !nor.dead() ? 1 : 0;
      }
      for (std::uint32_t i = 0; i < 2 * kSectors && !nor.dead(); ++i) {
        spool.erase_others();
      }
    }
    CHECK(sectors_of(nor, kOld.owner) == 0);
  }
}
