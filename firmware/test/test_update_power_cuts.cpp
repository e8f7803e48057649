// The power fails at every write of an update there is: of the slots, of what says which one
// boots, of the note and of the spool. One of the two images boots then, whole; what the spool
// took is there; and the update goes on or is given up, and says so.
//
// NOCTIS_CUT_EVERY=n leaves out all but every n-th of the writes.
#include <doctest/doctest.h>

#include "update_world.hpp"

using namespace noctis;
using namespace noctis::test;

namespace {

constexpr std::array<Tear, 6> kTears{Tear::nothing,   Tear::all,  Tear::first_half,
                                     Tear::some_bits, Tear::weak, Tear::random};
constexpr double kLongS = 160;  // no trial takes longer, with an epoch behind it
constexpr std::uint64_t kTrialMs = 60'000;

const Image kOld(3, 5000);

struct Script {
  const Image& image;
  bool in_second;  // the old image runs in the second slot, as after an earlier update
};

// A world whose next update is the one of the script.
std::unique_ptr<World> world_before(const Script& script) {
  auto world = std::make_unique<World>(kOld);
  if (script.in_second) {
    const Image before(2, 3000);
    world = std::make_unique<World>(before);
    world->offer(kOld, 7);
    live(*world);
    REQUIRE(*world->build == kOld.build);
    REQUIRE(last_state(*world) == "valid");
  }
  world->told.clear();
  world->trial_ms = kTrialMs;
  world->offer(script.image);
  return world;
}

// Lives until nothing ends the firmware any more; the power fails in the middle of a write.
void live_with_cut(World& world, long write) {
  for (int i = 0; i < 20; ++i) {
    Boot boot(world);
    const long before = world.power.writes;
    const bool started = boot.start(write);
    if (started && boot.live(kLongS)) {
      return;
    }
    write = world.power.dead ? -1 : write - (world.power.writes - before);
  }
  FAIL("a boot loop");
}

long count_writes(const Script& script) {
  const auto world = world_before(script);
  const long before = world->power.writes;
  live_with_cut(*world, -1);
  return world->power.writes - before;
}

void cut_at(const Script& script, long write, Tear tear) {
  CAPTURE(write);
  CAPTURE(static_cast<int>(tear));
  const auto world = world_before(script);
  for (PoweredFlash* flash :
       {&world->slots[0], &world->slots[1], &world->ota_data, &world->nor}) {
    flash->nor.tear_as(tear);
  }
  world->store.done_when_cut = tear == Tear::all;
  live_with_cut(*world, write);
  if (script.image.nature == Nature::sound) {
    REQUIRE(last_state(*world) == "valid");  // a trial that the power ends is tried again
    REQUIRE(*world->build == script.image.build);
    return;
  }
  REQUIRE(last_state(*world) == "rolled_back");
  REQUIRE(*world->build == kOld.build);
  const Image next(9, 4000);  // and the device can be updated still
  world->offer(next, 2);
  live_with_cut(*world, -1);
  REQUIRE(*world->build == 9);
  REQUIRE(last_state(*world) == "valid");
}

void cut_everywhere(const Script& script) {
  const long writes = count_writes(script);
  CHECK(writes > 30);
  const long every = number_from("NOCTIS_CUT_EVERY", 1);
  for (long write = 0; write < writes; write += every) {
    for (const Tear tear : kTears) {
      cut_at(script, write, tear);
    }
  }
}

}  // namespace

TEST_CASE("one of two images boots and the nights are there wherever an update is cut") {
  const Image sound(4, 9000);
  SUBCASE("into the second slot") { cut_everywhere({sound, false}); }
  SUBCASE("into the first slot") { cut_everywhere({sound, true}); }
}

TEST_CASE("the old image boots and the nights are there wherever a bad update is cut") {
  const Image crashing(4, 5000, Nature::crashes);
  const Image mute(4, 5000, Nature::mute);
  SUBCASE("of one that crashes") { cut_everywhere({crashing, true}); }
  SUBCASE("of one that does not reach the broker") { cut_everywhere({mute, false}); }
}

TEST_CASE("a long download that is cut anywhere goes on") {
  const Image large(4, 90'000);
  const long writes = count_writes({large, false});
  const long every = 41 * number_from("NOCTIS_CUT_EVERY", 1);
  for (long write = 0; write < writes; write += every) {
    cut_at({large, false}, write, Tear::random);
  }
}
