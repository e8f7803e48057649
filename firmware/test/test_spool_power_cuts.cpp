// Random power cuts: whatever append() returned is there after every one of them, nothing is
// invented, no seq is given out twice, and every epoch keeps its time.
//
// NOCTIS_CUT_SEED=n repeats run n alone; NOCTIS_CUT_RUNS=n makes n short runs, and
// NOCTIS_CUT_SHARD=i/k only every k-th of them; NOCTIS_CUT_LIVES=n makes the long runs longer.
#include <cstdio>
#include <cstdlib>

#include "spool_torture.hpp"

using namespace noctis;
using namespace noctis::test;

namespace {

struct Shard {
  unsigned index = 0;
  unsigned of = 1;
};

Shard shard_from_environment() {
  Shard shard;
  if (const char* text = std::getenv("NOCTIS_CUT_SHARD")) {
    REQUIRE(std::sscanf(text, "%u/%u", &shard.index, &shard.of) == 2);
    REQUIRE(shard.index < shard.of);
  }
  return shard;
}

// A small chip and a few lives, all from the seed. Every other chip is full before the first
// cut.
void short_run(std::uint64_t seed) {
  INFO("NOCTIS_CUT_SEED=", seed, " repeats this run");
  const auto sectors = 4 + static_cast<std::uint32_t>(seed % 3);
  TornNor nor(sectors, seed * 2);
  Torture torture(nor, nor, seed * 2 + 1);
  if (seed / 3 % 2 == 0) {
    torture.live_long(sectors - 1);
  }
  for (int life = 0; life < 5; ++life) {
    torture.live(true);
  }
  torture.live_long(0);  // the last look
}

}  // namespace

TEST_CASE("nothing is lost, invented or renumbered in 10,000 short runs with power cuts") {
  if (const long seed = number_from("NOCTIS_CUT_SEED", -1); seed >= 0) {
    short_run(static_cast<std::uint64_t>(seed));
    return;
  }
  const long runs = number_from("NOCTIS_CUT_RUNS", 10'000);
  const Shard shard = shard_from_environment();
  for (long seed = shard.index; seed < runs; seed += shard.of) {
    short_run(static_cast<std::uint64_t>(seed));
  }
}

TEST_CASE(
    "nothing is lost, invented or renumbered in chips that live through 1,000 power cuts") {
  const long lives = number_from("NOCTIS_CUT_LIVES", 1000);
  for (std::uint64_t chip = 0; chip < 6; ++chip) {
    INFO("chip ", chip);
    const auto sectors = 4 + static_cast<std::uint32_t>(chip % 3);
    TornNor nor(sectors, chip);
    Torture torture(nor, nor, 11 + chip);
    for (long life = 0; life < lives; ++life) {
      torture.live(life % 16 == 0);
    }
    CHECK(torture.epochs() > lives);
  }
}
