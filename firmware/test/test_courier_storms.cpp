// The courier against brokers and platforms that fail in every way: nothing is lost, the live
// path comes first, and no failure makes a storm. NOCTIS_SEED and NOCTIS_RUNS make another or a
// longer random run.
#include <cstdlib>
#include <functional>
#include <set>
#include <string>

#include "scripted_platform.hpp"

using namespace noctis;
using namespace noctis::test;

namespace {

constexpr std::size_t kEpochsAnHour = 120;
constexpr std::size_t kStatusesAnHour = 13;
constexpr std::size_t kPatientAnHour = 6;  // of what backs off to 15 min

std::uint64_t variable(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

// Lives for some hours, an epoch every 30 s; `react` sees each message once it is sent.
void live(CourierBench& bench, int hours, const std::function<void(const Published&)>& react) {
  std::size_t seen = bench.uplink.sent.size();
  const auto catch_up = [&] {
    for (; seen < bench.uplink.sent.size(); ++seen) {
      react(Published(bench.uplink.sent[seen]));
    }
  };
  for (int second = 0; second < 3600 * hours; ++second) {
    bench.pass(1);
    if (second % 30 == 0) {
      bench.make_epoch();
    }
    catch_up();
  }
}

// How many messages of a channel went out in the hour that ends now.
std::size_t last_hour(const CourierBench& bench, Channel channel) {
  std::size_t count = 0;
  for (const Published& message : bench.uplink.of(channel)) {
    count += message.at_ms + 3'600'000 > bench.clock.now_ms ? 1 : 0;
  }
  return count;
}

void check_quiet(const CourierBench& bench, std::size_t backlog) {
  CHECK(last_hour(bench, Channel::epochs) <= kEpochsAnHour);
  CHECK(last_hour(bench, Channel::backlog) <= backlog);
  CHECK(last_hour(bench, Channel::status) <= kStatusesAnHour);
  CHECK(last_hour(bench, Channel::time) <= kPatientAnHour);
}

}  // namespace

TEST_CASE("a broker that never answers, or answers for a silent platform, meets no storm") {
  for (const bool confirms : {false, true}) {
    CAPTURE(confirms);
    CourierBench bench;
    bench.make_epochs(500);
    bench.courier.on_state(true);
    live(bench, 6, [&](const Published& message) {
      if (confirms) {
        bench.courier.on_ack(message.id);
      }
    });
    check_quiet(bench, kPatientAnHour);
    CHECK(bench.spool.backlog() == 500 + 6 * kEpochsAnHour);
    // Whoever listens to the live epochs, database or no database, gets them all.
    CHECK(last_hour(bench, Channel::epochs) == kEpochsAnHour);
  }
}

TEST_CASE("a platform that refuses everything is asked ever more slowly, yet for all of it") {
  CourierBench bench(32);
  bench.make_epochs(6000);
  const std::uint32_t newest = bench.spool.next_seq() - 1;
  bench.courier.on_state(true);
  std::uint32_t furthest = 0;
  for (const auto code : {AckCode::refused, static_cast<AckCode>(77)}) {  // a later version's
    live(bench, 3, [&](const Published& message) {
      if (carries_epochs(message)) {
        bench.acknowledge(message, code);
        furthest = message.channel == Channel::backlog ? std::max(furthest, message.frame.first)
                                                       : furthest;
      }
    });
    check_quiet(bench, kEpochsAnHour + 10);
    CHECK(furthest + 64 >= newest);
  }
  CHECK(bench.spool.backlog() == 6000 + 6 * kEpochsAnHour);
  // The device was not known yet; now it is.
  live(bench, 3, [&](const Published& message) {
    if (carries_epochs(message)) {
      bench.acknowledge(message);
    }
  });
  CHECK(bench.spool.backlog() <= 1);
}

TEST_CASE("refused frames do not keep the ones behind them from being stored") {
  CourierBench bench(16);
  bench.make_epochs(3000);
  bench.courier.on_state(true);
  live(bench, 2, [&](const Published& message) {
    if (carries_epochs(message)) {
      bench.acknowledge(message,
                        message.frame.first < 2000 ? AckCode::refused : AckCode::stored);
    }
  });
  CHECK(bench.spool.backlog() > 1900);
  CHECK(bench.spool.backlog() < 2100);
}

TEST_CASE("what the platform disposed of is never sent again") {
  CourierBench bench;
  bench.make_epochs(1000);
  bench.courier.on_state(true);
  live(bench, 1, [&](const Published& message) {
    if (carries_epochs(message)) {
      bench.acknowledge(message, AckCode::disposed);
    }
  });
  CHECK(bench.spool.backlog() == 0);
  const std::size_t before = bench.uplink.of(Channel::backlog).size();
  bench.pass(4 * 3600);
  CHECK(bench.uplink.of(Channel::backlog).size() == before);
}

TEST_CASE("each connection of a flapping link costs a status and one frame") {
  CourierBench bench;
  bench.make_epochs(500);
  std::size_t connections = 0;
  for (int second = 0; second < 3600; ++second) {
    if (second % 10 == 0) {
      bench.courier.on_state(second % 20 == 0);
      connections += second % 20 == 0 ? 1 : 0;
    }
    bench.pass(1);
  }
  CHECK(bench.uplink.of(Channel::backlog).size() == connections);
  CHECK(bench.uplink.of(Channel::status).size() == connections);
}

TEST_CASE("an uplink that takes nothing is asked once a second and no more") {
  CourierBench bench;
  bench.make_epochs(500);
  bench.courier.on_state(true);
  bench.uplink.full = true;
  bench.courier.poll();
  std::size_t polls = 0;
  while (bench.clock.now_ms < 3'600'000) {
    REQUIRE(bench.courier.wake_ms() > bench.clock.now_ms);
    bench.clock.now_ms = bench.courier.wake_ms();
    bench.courier.poll();
    ++polls;
  }
  CHECK(polls < 3800);
  bench.uplink.full = false;
  bench.pass(2);
  bench.serve();
  CHECK(bench.spool.backlog() == 0);
}

TEST_CASE(
    "beside a backlog of 500,000 epochs every live epoch goes out in the poll that made it") {
  constexpr std::uint32_t kBacklog = 500'000;
  constexpr std::uint64_t kAnswerMs = 300;
  CourierBench bench(2048);
  for (std::uint32_t i = 0; i < kBacklog; ++i) {
    REQUIRE(bench.spool.append(Epoch{}, {30 * i, 0, {}}));
  }
  bench.courier.on_state(true);
  bench.courier.poll();
  std::size_t answered = 0;
  std::size_t live_epochs = 0;
  std::size_t most_backlog = 0;
  std::uint64_t next_epoch_ms = 0;
  while (bench.spool.backlog() > 0 && bench.clock.now_ms < 3'600'000) {
    bench.clock.now_ms += 100;
    if (bench.clock.now_ms >= next_epoch_ms && bench.spool.backlog() > 64) {
      const std::uint32_t seq = bench.make_epoch();
      REQUIRE(bench.went_live);
      const auto sent = bench.uplink.of(Channel::epochs).back();
      REQUIRE(sent.frame.first == seq);
      REQUIRE(sent.at_ms == bench.clock.now_ms);
      next_epoch_ms = bench.clock.now_ms + 30'000;
      ++live_epochs;
    }
    most_backlog =
        std::max(most_backlog, bench.courier.in_flight() - bench.courier.live_in_flight());
    while (answered < bench.uplink.sent.size() &&
           bench.uplink.sent[answered].at_ms + kAnswerMs <= bench.clock.now_ms) {
      const Published message = bench.uplink.sent[answered++];
      if (carries_epochs(message)) {
        bench.acknowledge(message);
      }
    }
  }
  CHECK(bench.spool.backlog() == 0);
  CHECK(most_backlog == Courier::kBacklogWindow);
  CHECK(live_epochs > 15);
  CHECK(bench.uplink.of(Channel::epochs).size() == live_epochs);
  CHECK(bench.clock.now_ms < 900'000);  // four frames of 64 in 0.3 s
}

namespace {

// A broker and a platform whose mood changes.
class MoodyPlatform {
 public:
  MoodyPlatform(CourierBench& bench, std::uint64_t seed) : bench_(bench), random_(seed) {}

  void change_mood() {
    mood_ = random_() % 8;
    bench_.uplink.full = mood_ == 7;
    if (random_() % 4 == 0) {
      up_ = !up_;
      bench_.courier.on_state(up_);
    }
  }
  void be_good() {
    mood_ = 0;
    bench_.uplink.full = false;
    up_ = true;
    bench_.courier.on_state(true);
  }
  bool up() const { return up_ && !bench_.uplink.full; }

  void answer() {
    for (; seen_ < bench_.uplink.sent.size(); ++seen_) {
      const Published message = bench_.uplink.sent[seen_];
      if (carries_epochs(message) && up_) {
        answer(message);
      }
    }
  }
  std::set<std::uint32_t> kept;  // stored or disposed of
  std::multiset<std::uint32_t> live;

 private:
  void answer(const Published& message) {
    if (message.channel == Channel::epochs) {
      live.insert(message.frame.first);
    }
    switch (mood_) {
      case 1:  // the broker is silent
        return;
      case 2:  // the broker alone answers
        bench_.courier.on_ack(message.id);
        return;
      case 3:
        bench_.acknowledge(message, AckCode::refused);
        return;
      case 4:
        bench_.acknowledge(message, static_cast<AckCode>(3 + random_() % 250));
        return;
      case 5:  // another's acknowledgement, or one of what is not there
        bench_.acknowledge(message.frame.first, 64, AckCode::stored, 1 + random_() % 9);
        bench_.acknowledge(bench_.spool.next_seq() + 1000, 255);
        return;
      default:
        break;
    }
    for (std::uint32_t i = 0; i < message.frame.slots.size(); ++i) {
      kept.insert(message.frame.first + i);
    }
    if (random_() % 8 == 0) {
      return;  // the acknowledgement is lost
    }
    const auto code = mood_ == 6 ? AckCode::disposed : AckCode::stored;
    for (unsigned times = random_() % 8 == 0 ? 2 : 1; times > 0; --times) {
      bench_.acknowledge(message, code);
    }
  }

  CourierBench& bench_;
  std::mt19937_64 random_;
  std::uint64_t mood_ = 0;
  bool up_ = false;
  std::size_t seen_ = 0;
};

}  // namespace

TEST_CASE("through random moods of broker and platform nothing is lost and nothing storms") {
  const std::uint64_t first = variable("NOCTIS_SEED", 1);
  const std::uint64_t runs = variable("NOCTIS_RUNS", 40);
  for (std::uint64_t seed = first; seed < first + runs; ++seed) {
    CAPTURE(seed);
    CourierBench bench(16);
    MoodyPlatform platform(bench, seed);
    std::set<std::uint32_t> made;
    std::mt19937_64 random(seed);
    for (int i = 0; i < 1200; ++i) {
      if (random() % 20 == 0) {
        platform.change_mood();
      }
      const bool window = platform.up() && !bench.courier.live_window_full();
      made.insert(bench.make_epoch());
      CHECK(bench.went_live == window);
      const std::size_t before = bench.uplink.sent.size();
      for (int step = 0; step < 30; ++step) {
        platform.answer();
        bench.pass(1);
      }
      // 30 s of backlog at one round trip a second, four frames each, and a few others.
      CHECK(bench.uplink.sent.size() - before < 30 * Courier::kBacklogWindow + 10);
    }
    platform.be_good();
    for (int i = 0; i < 20'000 && bench.spool.backlog() > 0; ++i) {
      platform.answer();
      bench.pass(1);
    }
    CHECK(bench.spool.backlog() == 0);
    CHECK(std::includes(platform.kept.begin(), platform.kept.end(), made.begin(), made.end()));
    CHECK(std::set<std::uint32_t>(platform.live.begin(), platform.live.end()).size() ==
          platform.live.size());
  }
}
