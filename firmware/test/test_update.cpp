#include <doctest/doctest.h>

#include "update_world.hpp"

using namespace noctis;
using namespace noctis::test;

namespace {

const Image kOld(3, 5000);
const Image kNew(4, 9000);

std::vector<std::string> states(const World& world) {
  std::vector<std::string> found;
  for (const Told& told : world.told) {
    if (found.empty() || found.back() != told.state) {
      found.push_back(told.state);
    }
  }
  return found;
}

// What the platform hears of an offer that is refused, and that nothing else happened.
std::string refusal(World& world) {
  live(world);
  CHECK(*world.build == kOld.build);
  CHECK(world.boots == 1);
  REQUIRE_FALSE(world.told.empty());
  CHECK(last_state(world) == "refused");
  CHECK(world.told.back().rollout == Release::rollout(1));
  return world.told.back().reason;
}

std::string refusal_of(Release release) {
  World world(kOld);
  world.offer(kNew, release.offer(world.signer));
  const std::string reason = refusal(world);
  CHECK(world.source.opened.empty());
  return reason;
}

}  // namespace

TEST_CASE("an update is fetched, read back, booted on trial and stands") {
  World world(kOld);
  world.offer(kNew);
  live(world);
  CHECK(*world.build == kNew.build);
  CHECK(world.boots == 2);
  CHECK(states(world) ==
        std::vector<std::string>{"downloading", "verifying", "installed", "pending", "valid"});
  CHECK(world.told.back().build == 4);
  CHECK(world.told.back().reason.empty());
  CHECK(world.epochs > 3);
  // What is offered still was done; and the next one goes into the first slot.
  live(world);
  CHECK(world.boots == 3);
  CHECK(last_state(world) == "valid");
  const Image third(5, 4096);
  world.offer(third, 2);
  live(world);
  CHECK(*world.build == 5);
  CHECK(world.told.back().rollout == Release::rollout(2));
  CHECK(last_state(world) == "valid");
}

TEST_CASE("a download says how far it is, and goes on where the connection broke") {
  const Image large(4, 90'000);
  World world(kOld);
  world.offer(large);
  world.source.fails_at = 51'200;
  live(world);
  CHECK(*world.build == 4);
  CHECK(world.source.opened == std::vector<std::uint32_t>{0, 51'200});
  int last = 0;
  for (const Told& told : world.told) {
    if (told.state == "downloading") {
      CHECK(told.percent >= last);
      last = told.percent;
    }
  }
  CHECK(last >= 80);
}

TEST_CASE("a server that says nothing is asked again, and less and less often") {
  World world(kOld);
  world.offer(kNew);
  world.source.stalls_below = 1'000'000;
  live(world, 1000);
  CHECK(world.source.opened.size() > 5);
  CHECK(world.source.opened.size() < 20);
  CHECK(world.boots == 1);
  CHECK(last_state(world) == "downloading");
}

TEST_CASE("why no image comes is told once and said in the log, and it is asked for again") {
  World world(kOld);
  world.offer(kNew);
  std::string reason;
  SUBCASE("the server is not there") {
    world.source.answer = ImageSource::kFailed;
    world.source.why = "nobody answers";
    reason = "no_server";
  }
  SUBCASE("the server is another") {
    world.source.answer = ImageSource::kUntrusted;
    world.source.why = "the certificate has expired";
    reason = "untrusted_server";
  }
  Boot boot(world);
  REQUIRE(boot.start());
  REQUIRE(boot.live(100));
  CHECK(world.source.opened.size() > 3);
  CHECK(world.told.size() == 2);
  CHECK(last_state(world) == "downloading");
  CHECK(world.told.back().reason == reason);
  CHECK(boot.said().find(reason + ": " + world.source.why) != std::string::npos);
  world.source.answer = 0;
  CHECK_FALSE(boot.live(200));
  CHECK(world.told.back().reason.empty());
  live(world);
  CHECK(*world.build == kNew.build);
}

TEST_CASE("what becomes of an update stands in the log") {
  World world(kOld);
  world.offer(kNew, Release(kNew).offer(Signer()));
  Boot boot(world);
  REQUIRE(boot.start());
  REQUIRE(boot.live(1));
  CHECK(boot.said().find("is refused: unknown_key") != std::string::npos);
}

TEST_CASE("what was noted of a download outlives a boot, and a wrong rest is fetched anew") {
  const Image large(4, 90'000);
  World world(kOld);
  world.offer(large);
  world.source.fails_at = 80'000;
  {
    Boot boot(world);
    REQUIRE(boot.start());
    while (world.source.at < 80'000) {
      REQUIRE(boot.live(0.01));
    }
  }
  SUBCASE("the slot holds what it held") {
    live(world);
    CHECK(world.source.opened == std::vector<std::uint32_t>{0, 65'536});
  }
  SUBCASE("the slot has lost it") {
    world.slots[1].nor.erase(3);
    live(world);
    CHECK(world.source.opened == std::vector<std::uint32_t>{0, 65'536, 0});
  }
  CHECK(*world.build == 4);
  CHECK(last_state(world) == "valid");
}

TEST_CASE("an offer that is not the platform's, or not for this device, is refused") {
  World world(kOld);
  std::string reason;
  SUBCASE("by whoever has another key") {
    world.offer(kNew, Release(kNew).offer(Signer()));
    reason = "unknown_key";
  }
  SUBCASE("with a manifest that was changed") {
    std::string offer = Release(kNew).offer(world.signer);
    offer.replace(offer.find("\"floor\":0"), 9, "\"floor\":1");
    world.offer(kNew, offer);
    reason = "bad_signature";
  }
  SUBCASE("with a byte more behind it") {
    world.offer(kNew, Release(kNew).offer(world.signer) + "\n");
    reason = "bad_signature";
  }
  SUBCASE("with a key's name under another's signature") {
    const Signer other;
    const Release release(kNew);
    world.offer(kNew, Release::first_line(1, world.signer.id(), other.sign(release.manifest)) +
                          "\n" + release.manifest);
    reason = "bad_signature";
  }
  SUBCASE("without a signature") {
    world.offer(kNew,
                Release::first_line(1, world.signer.id(), "") + "\n" + Release(kNew).manifest);
    reason = "malformed";
  }
  SUBCASE("signed, but no manifest") {
    world.offer(kNew, Release(kNew).with("\"size\"", "\"length\"").offer(world.signer));
    reason = "malformed";
  }
  CHECK(refusal(world) == reason);
  CHECK(world.source.opened.empty());
}

TEST_CASE("a manifest that does not fit is refused before anything is fetched") {
  CHECK(refusal_of(Release(kNew).with("host", "esp32")) == "wrong_target");
  CHECK(refusal_of(Release(kNew).with("9000", "98305")) == "too_large");
  CHECK(refusal_of(Release(kNew).with("1800000000", "1699999999")) == "expired");
  CHECK(refusal_of(Release(kNew).with("build\":4", "build\":2")) == "downgrade");
  CHECK(refusal_of(Release(kNew).with("least\":0", "least\":4")) == "needs_newer");
}

TEST_CASE("an image that is not what was signed is refused, and so is one that is not there") {
  World world(kOld);
  world.offer(kNew);
  std::string reason;
  SUBCASE("tampered with") {
    world.source.bytes[8000] ^= 1;
    reason = "wrong_hash";
  }
  SUBCASE("too short") {
    world.source.bytes.resize(8999);
    reason = "wrong_size";
  }
  SUBCASE("not there") {
    world.source.answer = ImageSource::kGone;
    reason = "not_found";
  }
  SUBCASE("into a slot that is worn out") {
    world.slots[1].nor.stuck_from = 4096;
    world.slots[1].nor.stuck_to = 4100;
    reason = "wrong_hash";
  }
  SUBCASE("into a slot that takes nothing") {
    world.slots[1].nor.refuses = true;
    reason = "slot_failed";
  }
  CHECK(refusal(world) == reason);
  // Not again, whatever is retained.
  const std::size_t opened = world.source.opened.size();
  live(world);
  CHECK(world.source.opened.size() == opened);
  CHECK(last_state(world) == "refused");
}

TEST_CASE("an image that does not prove itself is followed by the one before it") {
  World world(kOld);
  Nature nature = Nature::crashes;
  std::string reason = "did_not_start";
  SUBCASE("it crashes") {}
  SUBCASE("it does not reach the broker") {
    nature = Nature::mute;
    reason = "no_broker";
  }
  SUBCASE("it does not find the spool") {
    nature = Nature::blind;
    reason = "spool_unsound";
  }
  const Image bad(4, 9000, nature);
  world.offer(bad);
  live(world, 700);
  CHECK(*world.build == kOld.build);
  CHECK(last_state(world) == "rolled_back");
  CHECK(world.told.back().reason == reason);
  CHECK(world.told.back().build == 3);
  const int boots = world.boots;
  live(world, 700);  // and it is not tried again,
  CHECK(world.boots == boots + 1);
  CHECK(last_state(world) == "rolled_back");
  const Image good(5, 9000);  // but another one is
  world.offer(good, 2);
  live(world);
  CHECK(*world.build == 5);
  CHECK(last_state(world) == "valid");
}

TEST_CASE("a broker that is away for a whole trial does not cost the image") {
  World world(kOld);
  world.offer(kNew);
  {
    Boot boot(world);
    REQUIRE(boot.start());
    REQUIRE_FALSE(boot.live(100));
  }
  world.broker = false;
  {
    Boot boot(world);
    REQUIRE(boot.start());
    REQUIRE_FALSE(boot.live(700));
    REQUIRE(boot.image().build == kNew.build);
  }
  world.told.clear();
  world.broker = true;
  {
    // The image before it is back, says that it will be tried again, and first waits a while.
    Boot boot(world);
    REQUIRE(boot.start());
    REQUIRE(boot.live(590));
    CHECK(boot.image().build == kOld.build);
    CHECK(states(world) == std::vector<std::string>{"downloading"});
    CHECK(world.told.back().reason == "no_broker");
    CHECK_FALSE(boot.live(100));
  }
  live(world);
  CHECK(*world.build == kNew.build);
  CHECK(last_state(world) == "valid");
  CHECK(world.told.back().reason.empty());
  CHECK(world.source.opened.size() == 1);  // what lies in the slot is not fetched again
}

TEST_CASE("an image that never reaches the broker is tried a few times and no more") {
  const Image mute(4, 9000, Nature::mute);
  World world(kOld);
  world.offer(mute);
  live(world, 700);
  CHECK(last_state(world) == "rolled_back");
  CHECK(world.told.back().reason == "no_broker");
  CHECK(world.boots == 1 + 2 * Update::kMostAttempts);
  live(world, 2000);
  CHECK(world.boots == 2 + 2 * Update::kMostAttempts);
  CHECK(*world.build == kOld.build);
}

TEST_CASE("an image that crashes is tried once, and one that loses its power again") {
  World world(kOld);
  bool crashed = false;
  SUBCASE("it crashes") { crashed = true; }
  SUBCASE("its power fails") {}
  world.offer(kNew);
  {
    Boot boot(world);
    REQUIRE(boot.start());
    REQUIRE_FALSE(boot.live(100));
  }
  {
    Boot boot(world);
    REQUIRE(boot.start());
    REQUIRE(boot.live(0.3));
    REQUIRE(boot.update->on_trial());
  }
  world.reason = crashed ? ResetReason::panic : ResetReason::power_on;
  live(world, 700);
  CHECK(last_state(world) == (crashed ? "rolled_back" : "valid"));
  CHECK(world.told.back().reason == (crashed ? "did_not_start" : ""));
  CHECK(*world.build == (crashed ? kOld : kNew).build);
}

TEST_CASE("an offer that is withdrawn before the next try is not tried again") {
  World world(kOld);
  world.offer(kNew);
  {
    Boot boot(world);
    REQUIRE(boot.start());
    REQUIRE_FALSE(boot.live(100));
  }
  {
    Boot boot(world);
    REQUIRE(boot.start());
    REQUIRE(boot.live(0.3));
  }
  Boot boot(world);
  REQUIRE(boot.start());
  REQUIRE(boot.live(100));
  world.retained.clear();
  boot.hear("");
  REQUIRE(boot.live(2000));
  CHECK(*world.build == kOld.build);
  CHECK(boot.update->wake_ms() == ~std::uint64_t{0});
}

TEST_CASE("a lower build is taken where the manifest allows it, but never below the floor") {
  World world(kOld);
  const Image lower(2, 3000);
  world.offer(lower, Release(lower).with("downgrade\":0", "downgrade\":1").offer(world.signer));
  live(world);
  CHECK(*world.build == 2);
  const Image raised(9, 3000);
  world.offer(raised, Release(raised).with("floor\":0", "floor\":5").offer(world.signer, 2));
  live(world);
  CHECK(*world.build == 9);
  world.offer(lower,
              Release(lower).with("downgrade\":0", "downgrade\":1").offer(world.signer, 3));
  live(world);
  CHECK(*world.build == 9);
  CHECK(world.told.back().reason == "below_floor");
}

TEST_CASE("a floor is not raised by an image that did not stand") {
  World world(kOld);
  const Image bad(9, 3000, Nature::mute);
  world.offer(bad, Release(bad).with("floor\":0", "floor\":9").offer(world.signer));
  live(world, 700);
  REQUIRE(last_state(world) == "rolled_back");
  world.offer(kNew, 2);
  live(world);
  CHECK(*world.build == 4);
}

TEST_CASE("what runs already is told to be valid, and nothing is fetched") {
  World world(kOld);
  world.offer(kOld);
  live(world);
  CHECK(states(world) == std::vector<std::string>{"valid"});
  CHECK(world.source.opened.empty());
}

TEST_CASE("an offer that is withdrawn is dropped, up to the boot") {
  const Image large(4, 90'000);
  World world(kOld);
  world.offer(large);
  Boot boot(world);
  REQUIRE(boot.start());
  while (world.source.at < 40'000) {
    REQUIRE(boot.live(0.01));
  }
  world.retained.clear();
  boot.hear("");
  REQUIRE(boot.live(100));
  CHECK(world.source.at < 42'000);
  CHECK(world.source.closed == 1);
  CHECK(*world.build == 3);
}

TEST_CASE("whether an offer has expired is judged once the time is known") {
  World world(kOld);
  world.knows_time = false;
  world.offer(kNew);
  live(world);
  CHECK(world.told.empty());
  CHECK(world.source.opened.empty());
  world.knows_time = true;
  live(world);
  CHECK(last_state(world) == "valid");
}

TEST_CASE("an update waits for the end of an epoch, and a trial for the broker") {
  World world(kOld);
  world.offer(kNew);
  {
    Boot boot(world);
    REQUIRE(boot.start());
    CHECK_FALSE(boot.live(100));
    CHECK(boot.clock.now_ms % 30'000 < 100);
  }
  world.broker = false;
  Boot boot(world);
  REQUIRE(boot.start());
  REQUIRE(boot.live(400));
  CHECK(boot.update->on_trial());
  world.broker = true;
  REQUIRE(boot.live(1));
  CHECK_FALSE(boot.update->on_trial());
  CHECK(last_state(world) == "valid");
}

TEST_CASE("the wake-up of an update is never behind a step that is due") {
  World world(kOld);
  Boot boot(world);
  REQUIRE(boot.start());
  REQUIRE(boot.live(1));
  CHECK(boot.update->wake_ms() == ~std::uint64_t{0});
  world.offer(kNew);
  boot.hear(world.retained);
  CHECK(boot.update->wake_ms() <= boot.clock.now_ms);
}
