#include <set>

#include "scripted_platform.hpp"
#include "vectors.hpp"

using namespace noctis;
using namespace noctis::test;

namespace {

std::size_t count_of(const CourierBench& bench, Channel channel) {
  return bench.uplink.of(channel).size();
}

// How often each seq went out live.
std::multiset<std::uint32_t> live_seqs(const CourierBench& bench) {
  std::multiset<std::uint32_t> seqs;
  for (const Published& message : bench.uplink.of(Channel::epochs)) {
    REQUIRE(message.frame.slots.size() == 1);
    seqs.insert(message.frame.first);
  }
  return seqs;
}

Json parsed(const Published& message) {
  Json json(cJSON_Parse(message.text.c_str()), cJSON_Delete);
  REQUIRE(json);
  return json;
}

}  // namespace

TEST_CASE("an epoch goes out live once and is done when the platform says so") {
  CourierBench bench;
  bench.courier.on_state(true);
  const std::uint32_t seq = bench.make_epoch();
  CHECK(bench.went_live);
  CHECK(bench.spool.backlog() == 1);
  bench.courier.on_ack(bench.uplink.of(Channel::epochs).at(0).id);  // the broker alone
  CHECK(bench.spool.backlog() == 1);
  bench.acknowledge(seq, 1);
  CHECK(bench.spool.backlog() == 0);
  CHECK(bench.courier.in_flight() == 0);
  bench.pass(7200);
  CHECK(count_of(bench, Channel::epochs) == 1);
  CHECK(count_of(bench, Channel::backlog) == 0);
}

TEST_CASE("an epoch that the platform disposed of is done too") {
  CourierBench bench;
  bench.courier.on_state(true);
  bench.acknowledge(bench.make_epoch(), 1, AckCode::disposed);
  CHECK(bench.spool.backlog() == 0);
}

TEST_CASE("of all codes of an acknowledgement only 0 and 2 make an epoch done") {
  CourierBench bench;
  bench.courier.on_state(true);
  for (unsigned code = 0; code < 256; ++code) {
    CAPTURE(code);
    const std::uint32_t before = bench.spool.backlog();
    bench.acknowledge(bench.make_epoch(), 1, static_cast<AckCode>(code));
    CHECK(bench.spool.backlog() - before == (code == 0 || code == 2 ? 0 : 1));
    CHECK(bench.courier.in_flight() == 0);
  }
}

TEST_CASE("each range of an acknowledgement counts by its own code") {
  CourierBench bench;
  bench.courier.on_state(true);
  bench.make_epochs(4);  // at 1 to 4, behind the boot's RUN
  const auto bytes =
      encode_ack(bench.spool.stream(), {{1, 1, 2}, {2, 1, 1}, {3, 1, 77}, {4, 1, 0}});
  bench.courier.on_message(DownChannel::ack, bytes.data(), bytes.size());
  CHECK(bench.courier.in_flight() == 0);
  const auto owed = sweep(bench.spool);
  REQUIRE(owed.size() == 1);
  CHECK(owed[0].first == 2);
  CHECK(owed[0].slots.size() == 2);
}

TEST_CASE("a refusal of another stream changes nothing") {
  CourierBench bench;
  bench.courier.on_state(true);
  const std::uint32_t seq = bench.make_epoch();
  bench.acknowledge(seq, 1, AckCode::refused, bench.spool.stream() + 1);
  CHECK(bench.courier.in_flight() == 1);
}

TEST_CASE("acknowledgements of another stream, damaged, or of seqs to come change nothing") {
  CourierBench bench;
  bench.courier.on_state(true);
  const std::uint32_t seq = bench.make_epoch();
  bench.acknowledge(seq, 1, AckCode::stored, bench.spool.stream() + 1);
  CHECK(bench.spool.backlog() == 1);
  auto bytes = encode_ack(bench.spool.stream(), {{seq, 1, 0}});
  bytes.back() ^= 1;
  bench.courier.on_message(DownChannel::ack, bytes.data(), bytes.size());
  CHECK(bench.spool.backlog() == 1);
  bench.acknowledge(seq + 1, 200);
  bench.make_epochs(3);
  CHECK(bench.spool.backlog() == 4);
}

TEST_CASE("eight live epochs are in flight at most; the others follow on the backlog") {
  CourierBench bench;
  bench.courier.on_state(true);
  bench.make_epochs(8);
  CHECK(bench.went_live);
  bench.make_epochs(2);
  CHECK_FALSE(bench.went_live);
  CHECK(count_of(bench, Channel::epochs) == 8);
  CHECK(count_of(bench, Channel::backlog) == 0);
  bench.serve();
  CHECK(bench.spool.backlog() == 0);
  REQUIRE(count_of(bench, Channel::backlog) == 1);
  CHECK(bench.uplink.of(Channel::backlog)[0].frame.slots.size() == 2);
}

TEST_CASE("what was made without a link goes as backlog, oldest first, 64 slots a frame") {
  CourierBench bench;
  bench.make_epochs(600);
  CHECK(bench.uplink.sent.empty());
  bench.courier.on_state(true);
  bench.courier.poll();
  CHECK(count_of(bench, Channel::backlog) == 1);  // opens up with each success
  bench.serve();
  CHECK(bench.spool.backlog() == 0);
  std::uint32_t last = 0;
  std::size_t epochs = 0;
  for (const Published& message : bench.uplink.of(Channel::backlog)) {
    CHECK(message.frame.first > last);
    CHECK(message.frame.slots.size() <= 64);
    last = message.frame.first;
    epochs += message.frame.slots.size();
  }
  CHECK(epochs == 600);
  CHECK(count_of(bench, Channel::backlog) == 11);  // 279, 279 and 42 epochs in three sectors
  CHECK(count_of(bench, Channel::epochs) == 0);
}

TEST_CASE("the backlog window opens to four frames and no further") {
  CourierBench bench;
  bench.make_epochs(800);
  bench.courier.on_state(true);
  bench.courier.poll();
  std::size_t most = 0;
  for (std::size_t i = 0; i < bench.uplink.sent.size(); ++i) {
    if (bench.uplink.sent[i].channel == Channel::backlog) {
      bench.acknowledge(Published(bench.uplink.sent[i]));
      most = std::max(most, bench.courier.in_flight());
    }
  }
  CHECK(most == Courier::kBacklogWindow);
  CHECK(bench.spool.backlog() == 0);
}

TEST_CASE("on silence one frame repeats from 30 s up to every 15 min, with jitter") {
  CourierBench bench;
  bench.make_epochs(200);
  bench.courier.on_state(true);
  bench.courier.poll();
  bench.pass(4 * 3600);
  const auto frames = bench.uplink.of(Channel::backlog);
  REQUIRE(frames.size() > 8);
  std::set<std::uint64_t> pauses;
  double expected_s = 30;
  for (std::size_t i = 1; i < frames.size(); ++i) {
    CHECK(frames[i].frame.first == frames[0].frame.first);
    const std::uint64_t pause = frames[i].at_ms - frames[i - 1].at_ms;
    CHECK(pause >= expected_s * 1000);
    CHECK(pause <= expected_s * 1250 + 2);
    expected_s = std::min(2 * expected_s, 900.0);
    pauses.insert(pause);
  }
  CHECK(pauses.size() == frames.size() - 1);
}

TEST_CASE("after a silence one answer brings the pace back") {
  CourierBench bench;
  bench.make_epochs(600);
  bench.courier.on_state(true);
  bench.courier.poll();
  bench.pass(3600);
  const std::size_t before = bench.uplink.sent.size();
  bench.acknowledge(Published(bench.uplink.of(Channel::backlog).back()));
  bench.serve(before);
  CHECK(bench.spool.backlog() == 0);
  CHECK(bench.clock.now_ms <= 3'600'000);
}

TEST_CASE("after a silence the patience is short again, and one frame goes at a time") {
  CourierBench bench;
  bench.make_epochs(1000);
  bench.courier.on_state(true);
  bench.courier.poll();
  bench.pass(3600);
  for (int i = 0; i < 5; ++i) {
    bench.acknowledge(Published(bench.uplink.of(Channel::backlog).back()));
  }
  CHECK(bench.courier.in_flight() == Courier::kBacklogWindow);
  const std::size_t before = count_of(bench, Channel::backlog);
  bench.pass(39);
  CHECK(count_of(bench, Channel::backlog) == before + 1);
  CHECK(bench.courier.in_flight() == 1);
}

TEST_CASE("an answer to a live epoch brings the backlog back from a long silence") {
  CourierBench bench;
  bench.make_epochs(10);
  bench.courier.on_state(true);
  bench.courier.poll();
  bench.pass(7200);
  const std::size_t before = count_of(bench, Channel::backlog);
  bench.acknowledge(bench.make_epoch(), 1);
  bench.pass(39);
  CHECK(count_of(bench, Channel::backlog) == before + 1);
}

TEST_CASE("a reconnect begins with one frame") {
  CourierBench bench;
  bench.make_epochs(1000);
  bench.courier.on_state(true);
  bench.courier.poll();
  for (int i = 0; i < 5; ++i) {
    bench.acknowledge(Published(bench.uplink.of(Channel::backlog).back()));
  }
  CHECK(bench.courier.in_flight() == Courier::kBacklogWindow);
  bench.courier.on_state(false);
  bench.courier.on_state(true);
  bench.courier.poll();
  CHECK(bench.courier.in_flight() == 1);
}

TEST_CASE("a live epoch that nobody answers is repeated on the backlog, never live") {
  CourierBench bench;
  bench.courier.on_state(true);
  const std::uint32_t seq = bench.make_epoch();
  bench.pass(29);
  CHECK(count_of(bench, Channel::backlog) == 0);
  bench.pass(10);
  REQUIRE(count_of(bench, Channel::backlog) == 1);
  CHECK(bench.uplink.of(Channel::backlog)[0].frame.first == seq);
  CHECK(count_of(bench, Channel::epochs) == 1);
}

TEST_CASE("patience with the platform begins when the broker has the message") {
  CourierBench bench;
  bench.courier.on_state(true);
  bench.make_epoch();
  bench.pass(25);
  bench.courier.on_ack(bench.uplink.of(Channel::epochs).at(0).id);
  bench.pass(29);
  CHECK(count_of(bench, Channel::backlog) == 0);
  bench.pass(10);
  CHECK(count_of(bench, Channel::backlog) == 1);
}

TEST_CASE("a late acknowledgement of a repeated epoch is good") {
  CourierBench bench;
  bench.courier.on_state(true);
  const std::uint32_t seq = bench.make_epoch();
  bench.pass(45);
  bench.acknowledge(seq, 1);
  CHECK(bench.courier.in_flight() == 0);
  bench.pass(7200);
  CHECK(count_of(bench, Channel::backlog) == 1);
}

TEST_CASE("what was refused is kept and asked again in an hour, and nothing waits for it") {
  CourierBench bench;
  bench.courier.on_state(true);
  const std::uint32_t refused = bench.make_epoch();
  bench.acknowledge(refused, 1, AckCode::refused);
  const std::uint32_t good = bench.make_epoch();
  bench.acknowledge(good, 1);
  bench.pass(3590);
  CHECK(count_of(bench, Channel::backlog) == 0);
  CHECK(bench.spool.backlog() == 1);
  bench.pass(20);
  REQUIRE(count_of(bench, Channel::backlog) == 1);
  bench.acknowledge(refused, 1, AckCode::refused);
  bench.pass(3590);
  CHECK(count_of(bench, Channel::backlog) == 1);
  bench.pass(20);
  bench.acknowledge(refused, 1);
  CHECK(bench.spool.backlog() == 0);
  bench.pass(7200);
  CHECK(count_of(bench, Channel::backlog) == 2);
}

TEST_CASE("a refused frame of the backlog does not stop the frames behind it") {
  CourierBench bench;
  bench.make_epochs(128);
  bench.courier.on_state(true);
  bench.courier.poll();
  bench.acknowledge(Published(bench.uplink.of(Channel::backlog).at(0)), AckCode::refused);
  REQUIRE(count_of(bench, Channel::backlog) == 2);
  bench.acknowledge(Published(bench.uplink.of(Channel::backlog).at(1)));
  CHECK(bench.spool.backlog() == 64);
}

TEST_CASE("a frame acknowledged in pieces is done when the last piece is") {
  CourierBench bench;
  bench.make_epochs(64);
  bench.courier.on_state(true);
  bench.courier.poll();
  const std::uint32_t first = bench.uplink.of(Channel::backlog).at(0).frame.first;
  bench.acknowledge(first, 32);
  CHECK(bench.courier.in_flight() == 1);
  bench.acknowledge(first, 32);  // once more: the rest is still awaited
  CHECK(bench.courier.in_flight() == 1);
  bench.pass(40);
  REQUIRE(count_of(bench, Channel::backlog) == 2);
  CHECK(bench.uplink.of(Channel::backlog)[1].frame.first == first + 32);
  bench.acknowledge(first + 32, 32);
  CHECK(bench.spool.backlog() == 0);
  CHECK(bench.courier.in_flight() == 0);
}

TEST_CASE("after a reconnect everything unanswered comes from the spool, nothing live twice") {
  CourierBench bench;
  bench.courier.on_state(true);
  bench.make_epochs(5);
  bench.courier.on_state(false);
  CHECK(bench.courier.in_flight() == 0);
  bench.make_epochs(3);
  CHECK_FALSE(bench.went_live);
  bench.pass(600);
  CHECK(count_of(bench, Channel::backlog) == 0);
  bench.courier.on_state(true);
  bench.courier.poll();
  REQUIRE(count_of(bench, Channel::backlog) == 1);
  CHECK(bench.uplink.of(Channel::backlog)[0].frame.slots.size() == 8);
  bench.serve();
  CHECK(bench.spool.backlog() == 0);
  CHECK(live_seqs(bench).size() == 5);
}

TEST_CASE("a new epoch goes live at once while the backlog drains") {
  CourierBench bench;
  bench.make_epochs(600);
  bench.courier.on_state(true);
  bench.courier.poll();
  const std::uint32_t seq = bench.make_epoch();
  CHECK(bench.went_live);
  CHECK(live_seqs(bench).count(seq) == 1);
}

TEST_CASE("an uplink that takes nothing loses nothing") {
  CourierBench bench;
  bench.courier.on_state(true);
  bench.uplink.full = true;
  bench.make_epochs(3);
  CHECK_FALSE(bench.went_live);
  bench.uplink.full = false;
  bench.pass(1.1);  // it is asked again without anything else happening
  CHECK(count_of(bench, Channel::backlog) == 1);
  bench.serve();
  CHECK(bench.spool.backlog() == 0);
}

TEST_CASE("a boot loses no backlog") {
  CourierBench bench;
  bench.make_epochs(300);
  Spool again(bench.nor, {1, 2, 3});
  CHECK(again.mount() == Spool::Mount::ready);
  CHECK(again.backlog() == 300);
  Courier courier(again, bench.uplink, bench.clock, bench.wall_clock, bench.store, bench.board,
                  "test 1", 5);
  courier.on_state(true);
  courier.poll();
  CHECK(count_of(bench, Channel::backlog) == 1);
  CHECK(bench.uplink.of(Channel::backlog)[0].frame.first == 1);
}

TEST_CASE("a random platform gets every epoch, each live once at most") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    CourierBench bench;
    std::mt19937_64 random(seed);
    std::set<std::uint32_t> made;
    std::set<std::uint32_t> stored;
    std::size_t seen = 0;
    const auto answer = [&](unsigned percent) {
      for (; seen < bench.uplink.sent.size(); ++seen) {
        const Published message = bench.uplink.sent[seen];
        if (!carries_epochs(message) || random() % 100 >= percent) {
          continue;
        }
        for (std::uint32_t i = 0; i < message.frame.slots.size(); ++i) {
          stored.insert(message.frame.first + i);
        }
        if (random() % 100 < percent) {
          bench.acknowledge(message, random() % 10 == 0 ? AckCode::refused : AckCode::stored);
        }
      }
    };
    for (int i = 0; i < 1500; ++i) {
      bench.pass(30);
      if (random() % 20 == 0) {
        bench.courier.on_state(random() % 3 != 0);
      }
      made.insert(bench.make_epoch());
      answer(60);
    }
    bench.courier.on_state(true);
    for (int i = 0; i < 5000 && bench.spool.backlog() > 0; ++i) {
      bench.pass(100);
      answer(90);
    }
    CHECK(bench.spool.backlog() == 0);
    CHECK(std::includes(stored.begin(), stored.end(), made.begin(), made.end()));
    const auto live = live_seqs(bench);
    CHECK(std::set<std::uint32_t>(live.begin(), live.end()).size() == live.size());
  }
}

TEST_CASE("the status says where the spool stands and how the sensors are") {
  CourierBench bench;
  bench.courier.on_state(true);
  bench.make_epochs(2);
  bench.courier.set_health(
      {RadarFamily::mr60bha2, RadarState::presence_stuck, AccelState::ok, 0x98});  // a clone
  bench.pass(301);
  const Json json = parsed(bench.uplink.of(Channel::status).back());
  CHECK(text(json.get(), "state") == "online");
  CHECK(text(json.get(), "stream") == "5eed5eed5eed5eed");
  CHECK(number(json.get(), "oldest_seq") == 0);
  CHECK(number(json.get(), "next_seq") == 3);
  CHECK(number(json.get(), "backlog") == 2);
  CHECK(number(json.get(), "overwritten") == 0);
  CHECK(number(json.get(), "damaged") == 0);
  CHECK(text(json.get(), "firmware") == "test 1");
  CHECK(text(json.get(), "clock") == "sntp");
  CHECK(text(json.get(), "radar") == "presence_stuck");
  CHECK(text(json.get(), "radar_family") == "mr60bha2");
  CHECK(text(json.get(), "accelerometer") == "ok");
  CHECK(number(json.get(), "accelerometer_id") == 0x98);
}

TEST_CASE("the longest status fits, and a firmware's name is cut before the JSON is") {
  TornNor nor(8, 1);
  Spool spool(nor, {1, 2, ~std::uint64_t{0}});
  spool.mount();
  SimulatedClock clock;
  WallClock wall_clock(clock, 0);
  wall_clock.learn(ClockSource::platform, 1);
  ScriptedUplink uplink(clock);
  const std::string name(200, 'f');
  MemoryStore store;
  TestBoard board;
  put_number(store, "boots", 4294967294U);
  board.reason = ResetReason::brownout;
  board.heap = board.least_heap = board.stack = 4294967295U;
  board.signal = std::int8_t{-128};
  Courier courier(spool, uplink, clock, wall_clock, store, board, name.c_str(), 1);
  courier.begin(Spool::Mount::fresh);
  courier.set_health(
      {RadarFamily::mr60bha2, RadarState::presence_stuck, AccelState::frozen, 255});
  char json[Courier::kStatusSize];
  const std::size_t size = courier.status("sleeping", json);
  constexpr std::size_t kNumbers = std::size_t{10} * 9;  // they have one digit here
  constexpr std::size_t kPuback = 24;                    // and this is not told yet
  REQUIRE(size > 0);
  CHECK(size + kNumbers + kPuback < Courier::kStatusSize);
  CHECK(Json(cJSON_Parse(json), cJSON_Delete));
}

TEST_CASE("a change of the sensors' health is told at once, but at most once a minute") {
  CourierBench bench;
  bench.courier.on_state(true);
  bench.pass(100);
  CHECK(count_of(bench, Channel::status) == 1);
  bench.courier.set_health({RadarFamily::r60abd1, RadarState::ok, AccelState::ok, 0x68});
  bench.courier.poll();
  REQUIRE(count_of(bench, Channel::status) == 2);
  const Json json = parsed(bench.uplink.of(Channel::status).back());
  CHECK(text(json.get(), "radar_family") == "r60abd1");
  for (int i = 0; i < 59; ++i) {  // it comes and goes every second
    bench.courier.set_health(i % 2 == 0 ? Health{} : Health{RadarFamily::r60abd1});
    bench.pass(1);
  }
  CHECK(count_of(bench, Channel::status) == 2);
  bench.pass(2);
  CHECK(count_of(bench, Channel::status) == 3);
  bench.pass(200);  // nothing changes: nothing is told
  CHECK(count_of(bench, Channel::status) == 3);
}

TEST_CASE("a status that the uplink did not take is said again within a minute") {
  CourierBench bench;
  bench.uplink.full = true;
  bench.courier.on_state(true);
  bench.pass(30);
  CHECK(count_of(bench, Channel::status) == 0);
  bench.uplink.full = false;
  bench.pass(31);
  CHECK(count_of(bench, Channel::status) == 1);
}
