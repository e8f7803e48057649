#include "noctis/recorder.hpp"
#include "scripted_platform.hpp"

using namespace noctis;
using namespace noctis::test;

namespace {

// A chip that takes no writes while it is told so.
struct MoodyNor : TornNor {
  using TornNor::TornNor;
  bool refuses = false;
  bool program(std::uint32_t address, const std::uint8_t* from, std::size_t size) override {
    return !refuses && TornNor::program(address, from, size);
  }
};

struct Bedside {
  Bedside() {
    recorder.boot();
    cadence.begin(0);
  }
  // Lets time pass in steps as a task takes them.
  int run(std::uint64_t ms, std::uint64_t step_ms = 10) {
    int made = 0;
    for (const std::uint64_t end = clock.now_ms + ms; clock.now_ms < end;) {
      clock.now_ms += step_ms;
      made += cadence.step(clock.now_ms) ? 1 : 0;
      recorder.poll();
    }
    return made;
  }
  std::vector<std::uint32_t> starts() {
    std::vector<std::uint32_t> ticks;
    SpoolReader reader(recorder.spool(), 0, recorder.spool().next_seq(),
                       SpoolReader::Which::all);
    EpochRecord record{};
    while (reader.next(record)) {
      ticks.push_back(decode_run(record.run).tick_s + 30 * (record.seq - record.run_seq - 1));
    }
    return ticks;
  }

  MoodyNor nor{8, 1};
  SimulatedClock clock;
  WallClock wall_clock{clock, 1'600'000'000};
  MemoryStore store;
  TestBoard board;
  ScriptedUplink uplink{clock};
  Recorder recorder{{nor, {1, 2, 3}, uplink, clock, wall_clock, store, board, "bedside 1", 7}};
  Cadence cadence{recorder};
};

using Ticks = std::vector<std::uint32_t>;

}  // namespace

TEST_CASE("a board makes an epoch every 30 s and sends it live once it is stored") {
  Bedside bedside;
  bedside.recorder.courier().on_state(true);
  CHECK(bedside.run(29'990) == 0);
  CHECK(bedside.run(60'010) == 3);
  CHECK(bedside.starts() == Ticks{0, 30, 60});
  CHECK(bedside.uplink.of(Channel::epochs).size() == 3);
}

TEST_CASE("epochs that the flash refused wait for it, and keep their times") {
  Bedside bedside;
  bedside.nor.refuses = true;
  CHECK(bedside.run(95'000) == 3);
  CHECK(bedside.cadence.waiting() == 3);
  CHECK(bedside.starts().empty());
  bedside.nor.refuses = false;
  bedside.run(2000);
  CHECK(bedside.cadence.waiting() == 0);
  CHECK(bedside.starts() == Ticks{0, 30, 60});
  CHECK(bedside.cadence.lost() == 0);
}

TEST_CASE("of more epochs than can wait the oldest are lost, and counted") {
  Bedside bedside;
  bedside.nor.refuses = true;
  bedside.run(10 * 30'000);
  CHECK(bedside.cadence.waiting() == Cadence::kMostWaiting);
  CHECK(bedside.cadence.lost() == 2);
  bedside.nor.refuses = false;
  bedside.run(2000);
  CHECK(bedside.starts() == Ticks{60, 90, 120, 150, 180, 210, 240, 270});
}

TEST_CASE("a task that is late keeps the grid, one that stood still breaks it") {
  Bedside bedside;
  CHECK(bedside.run(90'300, 300) == 3);  // late by up to 300 ms
  CHECK(bedside.starts() == Ticks{0, 30, 60});
  bedside.run(200'000, 200'000);  // nothing ran: one epoch, then a new grid
  bedside.run(31'000);
  CHECK(bedside.starts() == Ticks{0, 30, 60, 90, 290});
}

TEST_CASE("a board erases what an earlier owner slept while it goes on") {
  Bedside bedside;
  bedside.run(31'000);
  Recorder other({bedside.nor,
                  {9, 2, 4},
                  bedside.uplink,
                  bedside.clock,
                  bedside.wall_clock,
                  bedside.store,
                  bedside.board,
                  "bedside 1",
                  7});
  CHECK(other.boot() == Spool::Mount::new_stream);
  REQUIRE(other.keep(Epoch{}, 0));
  for (int i = 0; i < 10; ++i) {
    other.poll();
  }
  layout::HeaderBytes header{};
  bedside.nor.read(0, header.data(), header.size());
  CHECK_FALSE(layout::decode_header(header.data()));
}
