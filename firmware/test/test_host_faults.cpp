// What befalls the virtual devices, and that the checks on them can fail.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "faults.hpp"
#include "kept_epochs.hpp"
#include "nor_file.hpp"
#include "spool_helpers.hpp"
#include "temporary_folder.hpp"
#include "torn_flash.hpp"

using namespace noctis;
using namespace noctis::host;
using namespace noctis::test;

namespace {

constexpr double kDayS = 86'400;

struct Change {
  double at_s;
  Link link;
};

std::vector<Change> changes_of(LinkFaults& faults, double until_s) {
  std::vector<Change> changes;
  double at_s = 0;
  while (at_s < until_s) {
    changes.push_back({at_s, faults.at(at_s)});
    at_s = faults.next_s();
  }
  return changes;
}

}  // namespace

TEST_CASE("a link is lost as often as asked, in every way, for all lengths, and comes back") {
  const double per_hour = 10;
  LinkFaults faults(per_hour, 1, 0, 10 * kDayS);
  const auto changes = changes_of(faults, 11 * kDayS);
  CHECK(faults.count() > 2250);
  CHECK(faults.count() < 2550);
  int losses = 0, deaf = 0, stalled = 0, cut = 0, short_ones = 0, long_ones = 0;
  double begun_s = 0;
  for (std::size_t i = 0; i < changes.size(); ++i) {
    const Link before = i == 0 ? Link::sound : changes[i - 1].link;
    const Link link = changes[i].link;
    if (before == Link::sound && link != Link::sound) {
      ++losses;
      begun_s = changes[i].at_s;
      deaf += link == Link::deaf ? 1 : 0;
      stalled += link == Link::stalled ? 1 : 0;
      cut += link == Link::dead ? 1 : 0;
    }
    if (link == Link::deaf || link == Link::stalled) {
      CHECK(changes[i + 1].link == Link::dead);  // none of them mends
    }
    if (before != Link::sound && link == Link::sound) {
      const double length_s = changes[i].at_s - begun_s;
      short_ones += length_s < 2 ? 1 : 0;
      long_ones += length_s > 240 ? 1 : 0;
    }
  }
  CHECK(changes.back().link == Link::sound);
  CHECK(losses > 1500);  // those that meet are one here
  CHECK(cut > std::max(deaf, stalled));
  CHECK(std::min(deaf, stalled) > 350);
  CHECK(std::min(short_ones, long_ones) > 200);
}

TEST_CASE("the same seed brings the same faults, another one others, none none") {
  const auto changes = [](double per_hour, std::uint64_t seed) {
    LinkFaults faults(per_hour, seed, 0, kDayS);
    return changes_of(faults, kDayS);
  };
  const auto one = changes(10, 1);
  const auto same = changes(10, 1);
  const auto other = changes(10, 2);
  REQUIRE(one.size() == same.size());
  for (std::size_t i = 0; i < one.size(); ++i) {
    CHECK(one[i].at_s == same[i].at_s);
    CHECK(one[i].link == same[i].link);
  }
  CHECK(one[1].at_s != other[1].at_s);
  CHECK(changes(0, 1).size() == 1);
  CHECK(std::isinf(PowerFaults(0, 1, kDayS).next(0).at_s));
}

TEST_CASE("power cuts come as often as asked, in writes and between them, until the end") {
  PowerFaults faults(10, 1, 10 * kDayS);
  int cuts = 0, in_a_write = 0;
  double at_s = 0;
  for (PowerCut cut = faults.next(0); !std::isinf(cut.at_s); cut = faults.next(at_s)) {
    CHECK(cut.at_s > at_s);
    CHECK(cut.off_s >= 1);
    CHECK(cut.off_s <= 120);
    at_s = cut.at_s;
    ++cuts;
    in_a_write += cut.writes >= 0 ? 1 : 0;
  }
  CHECK(cuts > 2200);
  CHECK(cuts < 2600);
  CHECK(in_a_write > cuts / 2);
  CHECK(in_a_write < cuts);
}

TEST_CASE("a torn write does a part of its bits and nothing else, and the chip is dead") {
  const TemporaryFolder folder;
  std::string error;
  const auto nor = NorFile::open(folder.file("chip"), error);
  REQUIRE(nor);
  int partly = 0;
  for (std::uint32_t i = 0; i < 200; ++i) {
    TornFlash flash(*nor, i);
    const std::array<std::uint8_t, 3> wanted{0x00, 0x0F, 0xA5};
    std::array<std::uint8_t, 3> found{};
    REQUIRE(flash.erase(i));
    flash.cut_after(1);
    const std::uint32_t at = i * Flash::kSectorSize;
    REQUIRE(flash.program(at, wanted.data(), 3));
    flash.read(at, found.data(), 3);
    CHECK(found == wanted);
    CHECK_FALSE(flash.dead());
    REQUIRE(flash.program(at + 8, wanted.data(), 3));
    CHECK(flash.dead());
    REQUIRE(flash.program(at + 16, wanted.data(), 3));  // nobody is there to be told
    flash.power_on();
    flash.read(at + 8, found.data(), 3);
    for (std::size_t k = 0; k < 3; ++k) {
      CHECK((found[k] & wanted[k]) == wanted[k]);  // no other bit was cleared
    }
    partly += found != wanted && found != std::array<std::uint8_t, 3>{0xFF, 0xFF, 0xFF} ? 1 : 0;
    flash.read(at + 16, found.data(), 3);
    CHECK(found == std::array<std::uint8_t, 3>{0xFF, 0xFF, 0xFF});
  }
  CHECK(partly > 50);
}

TEST_CASE("a torn erase leaves other sectors alone") {
  const TemporaryFolder folder;
  std::string error;
  const auto nor = NorFile::open(folder.file("chip"), error);
  REQUIRE(nor);
  const std::array<std::uint8_t, 2> wanted{0x12, 0x34};
  std::vector<std::array<std::uint8_t, 2>> found;
  for (std::uint32_t i = 0; i < 40; ++i) {
    TornFlash flash(*nor, i);
    REQUIRE(flash.program(0, wanted.data(), 2));
    REQUIRE(flash.program(Flash::kSectorSize, wanted.data(), 2));
    flash.cut_after(0);
    REQUIRE(flash.erase(1));
    CHECK(flash.dead());
    found.emplace_back();
    flash.read(0, found.back().data(), 2);
    CHECK(found.back() == wanted);
    flash.read(Flash::kSectorSize, found.back().data(), 2);
    flash.power_on();
    REQUIRE(flash.erase(1));
  }
  CHECK(std::count(found.begin(), found.end(), wanted) > 0);
  CHECK(std::count(found.begin(), found.end(), std::array<std::uint8_t, 2>{0xFF, 0xFF}) > 0);
}

TEST_CASE("what the spool took and lost, gave out again or invented is told") {
  const TemporaryFolder folder;
  std::string error;
  const auto nor = NorFile::open(folder.file("chip"), error);
  REQUIRE(nor);
  Spool spool(*nor, {1, 2, 0xABCDEF});
  spool.mount();
  std::mt19937_64 random(1);
  KeptEpochs kept;
  kept.begin(spool.next_seq());
  std::uint32_t seq = 0;
  Slot slot{};
  for (std::uint32_t i = 0; i < 400; ++i) {
    const Epoch epoch = random_epoch(random);
    slot = encode_slot(epoch);
    seq = *spool.append(epoch, {30 * i, 0, {}});
    CHECK(kept.add(spool.stream(), seq, slot).empty());
  }
  CHECK(kept.check(spool, std::nullopt).empty());
  const Epoch torn = random_epoch(random);
  REQUIRE(spool.append(torn, {0, 0, {}}));
  CHECK(kept.check(spool, std::nullopt).find("nobody made") != std::string::npos);
  CHECK(kept.check(spool, encode_slot(torn)).empty());
  CHECK(kept.check(spool, std::nullopt).empty());  // from now on it has to stay
  CHECK(kept.add(spool.stream(), seq, slot).find("again") != std::string::npos);

  KeptEpochs more;
  more.begin(spool.next_seq());
  CHECK(more.check(spool, std::nullopt).empty());
  CHECK(more.add(spool.stream(), spool.next_seq(), slot).empty());
  CHECK(more.check(spool, std::nullopt).find("lost") != std::string::npos);
}
