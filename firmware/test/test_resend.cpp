// The platform asks for epochs again that it had acknowledged: after its database was restored
// from a backup, for one.
#include <set>
#include <string>

#include "scripted_platform.hpp"
#include "vectors.hpp"

using namespace noctis;
using namespace noctis::test;

namespace {

constexpr std::uint64_t kStream = 0x5EED5EED5EED5EEDULL;  // of a CourierBench

std::string id_of(unsigned number) {
  char text[40];
  std::snprintf(text, sizeof text, "00000000-0000-4000-8000-%012u", number);
  return text;
}

std::string resend_command(unsigned number, std::uint32_t first, std::uint32_t last,
                           std::uint64_t stream = kStream) {
  char text[200];
  std::snprintf(text, sizeof text,
                R"({"id":"%s","command":"resend","stream":"%016llx","from":%u,"to":%u})",
                id_of(number).c_str(), static_cast<unsigned long long>(stream), first, last);
  return text;
}

void order(Courier& courier, const std::string& text) {
  courier.on_message(DownChannel::command, reinterpret_cast<const std::uint8_t*>(text.data()),
                     text.size());
  courier.poll();
}

// A device all of whose epochs are done.
struct ResendBench : CourierBench {
  explicit ResendBench(int epochs, std::uint32_t sectors = 8) : CourierBench(sectors) {
    courier.on_state(true);
    for (int i = 0; i < epochs; ++i) {
      acknowledge(make_epoch(), 1);
    }
    REQUIRE(spool.backlog() == 0);
  }

  void ask(std::uint32_t first, std::uint32_t last, unsigned number = 1) {
    order(courier, resend_command(number, first, last));
  }
  std::vector<Published> backlog() const { return uplink.of(Channel::backlog); }
  std::vector<Published> answers() const { return uplink.of(Channel::result); }
};

std::set<std::uint32_t> seqs_of(const std::vector<Published>& messages) {
  std::set<std::uint32_t> seqs;
  for (const Published& message : messages) {
    for (std::uint32_t i = 0; i < message.frame.slots.size(); ++i) {
      seqs.insert(message.frame.first + i);
    }
  }
  return seqs;
}

// The seqs of the epochs of a range that the spool holds.
std::set<std::uint32_t> held(Spool& spool, std::uint32_t first, std::uint32_t last) {
  SpoolReader reader(spool, first, last + 1, SpoolReader::Which::all);
  std::set<std::uint32_t> seqs;
  EpochRecord record{};
  while (reader.next(record)) {
    seqs.insert(record.seq);
  }
  return seqs;
}

struct Answer {
  std::string id, state, reason;
  std::uint32_t stored = 0, refused = 0, overwritten = 0;
};

Answer answer_of(const Published& message) {
  const Json json(cJSON_Parse(message.text.c_str()), cJSON_Delete);
  REQUIRE(json);
  Answer answer{text(json.get(), "id"), text(json.get(), "state"), ""};
  const cJSON* detail = cJSON_GetObjectItem(json.get(), "detail");
  if (answer.state == "refused") {
    answer.reason = text(detail, "reason");
  } else {
    answer.stored = number(detail, "stored");
    answer.refused = number(detail, "refused");
    answer.overwritten = number(detail, "overwritten");
  }
  return answer;
}

}  // namespace

TEST_CASE("what is done goes out again when the platform asks for it, and is then answered") {
  ResendBench bench(600);
  bench.ask(100, 450);
  CHECK(bench.answers().empty());
  bench.serve();
  CHECK(seqs_of(bench.backlog()) == held(bench.spool, 100, 450));
  REQUIRE(bench.answers().size() == 1);
  const Answer answer = answer_of(bench.answers()[0]);
  CHECK(answer.id == id_of(1));
  CHECK(answer.state == "done");
  CHECK(answer.stored == held(bench.spool, 100, 450).size());
  CHECK(answer.refused == 0);
  CHECK(answer.overwritten == 0);
  CHECK(bench.courier.in_flight() == 0);
  CHECK(bench.uplink.of(Channel::epochs).size() == 600);
  bench.pass(7200);
  CHECK(seqs_of(bench.backlog()) == held(bench.spool, 100, 450));
}

TEST_CASE("a range that goes beyond what is made ends there; what is made later goes live") {
  ResendBench bench(10);
  bench.ask(0, 4294967295);
  const std::uint32_t seq = bench.make_epoch();
  CHECK(bench.went_live);
  bench.serve();
  REQUIRE(bench.answers().size() == 1);
  CHECK(answer_of(bench.answers()[0]).stored == 10);
  CHECK(seqs_of(bench.backlog()).count(seq) == 0);
}

TEST_CASE("what cannot be sent again is refused with a reason") {
  ResendBench bench(2000, 4);  // the ring has gone round
  const std::uint32_t first = bench.spool.first_seq();
  REQUIRE(first > 0);
  bench.ask(0, first - 1, 1);
  bench.ask(bench.spool.next_seq(), bench.spool.next_seq() + 9, 2);
  order(bench.courier, resend_command(3, 0, 4294967295, kStream + 1));
  order(bench.courier, R"({"id":")" + id_of(4) + R"(","command":"dance"})");
  order(bench.courier, R"({"id":")" + id_of(5) + R"(","command":"resend"})");
  order(bench.courier, "{}");
  std::vector<std::string> reasons;
  for (const Published& message : bench.answers()) {
    CHECK(answer_of(message).state == "refused");
    CHECK(answer_of(message).id == id_of(static_cast<unsigned>(reasons.size() + 1)));
    reasons.push_back(answer_of(message).reason);
  }
  CHECK(reasons == std::vector<std::string>{"overwritten", "not_made", "foreign_stream",
                                            "unknown_command", "malformed"});
  CHECK(bench.backlog().empty());
}

TEST_CASE("what the spool has overwritten of a range is told, and the rest is sent") {
  ResendBench bench(2000, 4);
  bench.ask(100, bench.spool.next_seq() - 1);
  bench.serve();
  REQUIRE(bench.answers().size() == 1);
  const Answer answer = answer_of(bench.answers()[0]);
  CHECK(answer.overwritten == bench.spool.first_seq() - 100);
  CHECK(answer.stored == held(bench.spool, 0, bench.spool.next_seq() - 1).size());
}

TEST_CASE("what is overwritten while it waits is told too") {
  ResendBench bench(2000, 4);
  const std::uint32_t first = bench.spool.first_seq();
  bench.ask(first, bench.spool.next_seq() - 1);  // and nobody answers
  while (bench.spool.first_seq() < first + 560) {
    bench.acknowledge(bench.make_epoch(), 1);
  }
  bench.pass(40);
  bench.serve();
  REQUIRE(bench.answers().size() == 1);
  const Answer answer = answer_of(bench.answers()[0]);
  CHECK(answer.state == "done");
  CHECK(answer.stored + answer.overwritten >= 2000 - first - 20);
  CHECK(answer.overwritten >= 559);
}

TEST_CASE("a slot that rots while its frame awaits an answer costs that epoch alone") {
  ResendBench bench(100);
  bench.ask(0, 100);
  const std::uint32_t rotten = bench.backlog()[0].frame.first + 20;
  bench.nor.byte_at(layout::slot_offset(rotten) + 3) ^= 0x10;
  const std::size_t before = bench.uplink.sent.size();
  bench.pass(40);
  bench.serve(before);
  auto expected = held(bench.spool, 0, 100);
  CHECK(expected.size() == 99);
  CHECK(expected.count(rotten) == 0);
  std::set<std::uint32_t> sent;
  for (std::size_t i = before; i < bench.uplink.sent.size(); ++i) {
    const ReadFrame& frame = bench.uplink.sent[i].frame;
    for (std::uint32_t k = 0; k < frame.slots.size(); ++k) {
      sent.insert(frame.first + k);
    }
  }
  CHECK(sent == expected);
  REQUIRE(bench.answers().size() == 1);
  CHECK(answer_of(bench.answers()[0]).stored == 99);
}

TEST_CASE("epochs of an older stream of the chip are sent again under its name") {
  CourierBench bench;
  bench.courier.on_state(true);
  bench.make_epochs(300);
  bench.serve();
  Spool moved(bench.nor, {1, 3, 0xABCULL});  // another chip tag: a new stream
  moved.mount();
  REQUIRE(moved.append(random_epoch(bench.random), {0, 0, {}}));
  Courier courier(moved, bench.uplink, bench.clock, bench.wall_clock, bench.store, bench.board,
                  "test 1", 1);
  courier.on_state(true);
  order(courier, resend_command(1, 250, moved.next_seq() - 1));
  const auto sent = bench.uplink.of(Channel::backlog).back();
  CHECK(sent.frame.stream == kStream);
  CHECK(sent.frame.first == 250);
  for (std::size_t i = 0; i < bench.uplink.sent.size(); ++i) {
    const Published message = bench.uplink.sent[i];
    if (carries_epochs(message)) {
      const auto ack = encode_ack(
          message.frame.stream,
          {{message.frame.first, static_cast<std::uint8_t>(message.frame.slots.size()), 0}});
      courier.on_message(DownChannel::ack, ack.data(), ack.size());
      courier.poll();
    }
  }
  REQUIRE(bench.uplink.of(Channel::result).size() == 1);
  CHECK(answer_of(bench.uplink.of(Channel::result)[0]).stored == 51);  // and a RUN
}

TEST_CASE("a new epoch goes live at once while epochs are sent again") {
  ResendBench bench(1500);
  bench.ask(0, 1400);
  for (std::size_t i = 0; i < bench.uplink.sent.size() && bench.answers().empty(); ++i) {
    if (bench.uplink.sent[i].channel == Channel::backlog) {
      const std::uint32_t seq = bench.make_epoch();
      REQUIRE(bench.went_live);
      bench.acknowledge(seq, 1);
      bench.acknowledge(Published(bench.uplink.sent[i]));
    }
  }
  CHECK(bench.answers().size() == 1);
}

TEST_CASE("what is not done and what was asked for again take turns") {
  ResendBench bench(1500, 16);
  bench.courier.on_state(false);
  bench.make_epochs(1500);
  const std::uint32_t undone_from =
      held(bench.spool, 1500, 3100).empty() ? 0 : sweep(bench.spool).front().first;
  bench.courier.on_state(true);
  bench.ask(0, undone_from - 1);
  std::vector<bool> again;
  for (std::size_t i = 0; i < bench.uplink.sent.size(); ++i) {
    const Published message = bench.uplink.sent[i];
    if (message.channel == Channel::backlog) {
      again.push_back(message.frame.first < undone_from);
      bench.acknowledge(message);
    }
  }
  CHECK(bench.spool.backlog() == 0);
  CHECK(bench.answers().size() == 1);
  REQUIRE(again.size() > 40);
  for (std::size_t i = 2; i + 10 < again.size(); ++i) {
    CAPTURE(i);
    CHECK((again[i] != again[i - 1] || again[i - 1] != again[i - 2]));
  }
}

TEST_CASE("one window bounds all that is repeated, and one lost answer costs one frame") {
  ResendBench bench(2000, 16);
  bench.ask(0, 1900);
  std::size_t most = 0;
  std::uint32_t lost = 0;
  for (std::size_t i = 0; i < bench.uplink.sent.size(); ++i) {
    const Published message = bench.uplink.sent[i];
    most = std::max(most, bench.courier.in_flight());
    if (message.channel != Channel::backlog) {
      continue;
    }
    if (lost == 0 && message.frame.first > 400) {
      lost = message.frame.first;
      continue;
    }
    bench.acknowledge(message);
  }
  CHECK(most == Courier::kBacklogWindow);
  CHECK(bench.answers().empty());
  const std::size_t before = bench.backlog().size();
  bench.pass(40);
  REQUIRE(bench.backlog().size() == before + 1);
  CHECK(bench.backlog().back().frame.first == lost);
  bench.acknowledge(bench.backlog().back());
  REQUIRE(bench.answers().size() == 1);
  CHECK(answer_of(bench.answers()[0]).stored == held(bench.spool, 0, 1900).size());
}

TEST_CASE("a frame of a resend that is answered in pieces is done when the last piece is") {
  ResendBench bench(64);
  bench.ask(0, 64);
  REQUIRE(bench.backlog().size() == 1);
  const std::uint32_t first = bench.backlog()[0].frame.first;
  bench.acknowledge(first, 32);
  bench.acknowledge(first, 40);
  CHECK(bench.answers().empty());
  bench.acknowledge(first + 40, 10, AckCode::refused);
  CHECK(bench.answers().empty());
  bench.acknowledge(first + 50, 255, AckCode::disposed);
  REQUIRE(bench.answers().size() == 1);
  CHECK(answer_of(bench.answers()[0]).stored == 54);
  CHECK(answer_of(bench.answers()[0]).refused == 10);
}

TEST_CASE("what the platform refuses is told and not sent another time") {
  ResendBench bench(2000, 16);
  bench.ask(0, 1999);
  for (std::size_t i = 0; i < bench.uplink.sent.size(); ++i) {
    if (bench.uplink.sent[i].channel == Channel::backlog) {
      bench.acknowledge(Published(bench.uplink.sent[i]), AckCode::refused);
    }
  }
  CHECK(bench.backlog().size() < 15);  // of 32: it asks ever more slowly
  for (int minute = 0; minute < 60 && bench.answers().empty(); ++minute) {
    for (const Published& message : bench.backlog()) {
      bench.acknowledge(message, AckCode::refused);
    }
    bench.pass(60);
  }
  REQUIRE(bench.answers().size() == 1);
  CHECK(answer_of(bench.answers()[0]).refused == held(bench.spool, 0, 1999).size());
  const std::size_t before = bench.backlog().size();
  bench.pass(7200);
  CHECK(bench.backlog().size() == before);
}

TEST_CASE("a silent platform is asked with one frame, ever more slowly") {
  ResendBench bench(500);
  bench.ask(0, 499);
  bench.pass(4 * 3600);
  const auto frames = bench.backlog();
  REQUIRE(frames.size() > 8);
  CHECK(frames.size() < 40);
  for (const Published& message : frames) {
    CHECK(message.frame.first == frames[0].frame.first);
  }
  bench.serve();
  CHECK(bench.answers().size() == 1);
}

TEST_CASE("a resend goes on after the connection was lost, with what got no answer") {
  ResendBench bench(600);
  bench.ask(0, 599);
  bench.acknowledge(bench.backlog()[0]);
  const std::size_t answered = bench.backlog()[0].frame.slots.size();
  bench.courier.on_state(false);
  bench.pass(3600);
  const std::size_t before = bench.uplink.sent.size();
  bench.courier.on_state(true);
  bench.courier.poll();
  bench.serve(before);
  REQUIRE(bench.answers().size() == 1);
  CHECK(answer_of(bench.answers()[0]).stored == held(bench.spool, 0, 599).size());
  std::size_t again = 0;
  for (std::size_t i = before; i < bench.uplink.sent.size(); ++i) {
    again += bench.uplink.sent[i].frame.slots.size();
  }
  CHECK(again + answered == held(bench.spool, 0, 599).size());
}

TEST_CASE("a command that comes again is answered again and not done again") {
  ResendBench bench(600);
  bench.ask(0, 599);
  bench.ask(0, 599);  // while it is being done: nothing
  bench.ask(5, 6, 2);
  const std::size_t before = bench.backlog().size();
  CHECK(before == 1);
  bench.serve();
  REQUIRE(bench.answers().size() == 1);
  bench.courier.on_ack(bench.answers()[0].id);  // the broker had it, the platform did not
  const std::size_t sent = bench.backlog().size();
  bench.ask(0, 599);
  REQUIRE(bench.answers().size() == 2);
  CHECK(bench.answers()[1].text == bench.answers()[0].text);
  CHECK(bench.backlog().size() == sent);
  bench.ask(5, 6, 2);  // it was passed over: now it is done
  REQUIRE(bench.backlog().size() == sent + 1);
  bench.acknowledge(bench.backlog().back());
  REQUIRE(bench.answers().size() == 3);
  CHECK(answer_of(bench.answers()[2]).id == id_of(2));
  CHECK(answer_of(bench.answers()[2]).stored == 2);
}

TEST_CASE("an answer is given until the broker has it") {
  ResendBench bench(10);
  bench.uplink.full = true;
  bench.ask(99, 100);
  bench.pass(3);
  CHECK(bench.answers().empty());
  bench.uplink.full = false;
  bench.pass(2);
  REQUIRE(bench.answers().size() == 1);
  bench.pass(3600);
  CHECK(bench.answers().size() == 1);  // the broker is busy with it
  bench.courier.on_state(false);
  bench.courier.on_state(true);
  bench.courier.poll();
  REQUIRE(bench.answers().size() == 2);
  bench.courier.on_ack(bench.answers()[1].id);
  bench.courier.on_state(false);
  bench.courier.on_state(true);
  bench.courier.poll();
  CHECK(bench.answers().size() == 2);
  CHECK(answer_of(bench.answers()[1]).reason == "not_made");
}

TEST_CASE("epochs that are not done and asked for are stored once and end both ways") {
  CourierBench bench;
  bench.make_epochs(500);
  bench.courier.on_state(true);
  order(bench.courier, resend_command(1, 0, 499));
  bench.serve();
  CHECK(bench.spool.backlog() == 0);
  REQUIRE(bench.uplink.of(Channel::result).size() == 1);
  CHECK(answer_of(bench.uplink.of(Channel::result)[0]).stored == 498);
}

namespace {

// A device whose power fails, whose messages get lost, and a platform that lost its database
// and wants the epochs of a range again, asking until it is answered.
class Restored {
 public:
  explicit Restored(std::uint64_t seed) : random_(seed), nor_(5, seed) {
    boot();
    for (int i = 0; i < 1300; ++i) {
      make_epoch();
    }
    for (const ReadFrame& owed : sweep(*spool_)) {
      if (random_() % 8 != 0) {
        spool_->mark_done(owed.stream, owed.first,
                          static_cast<std::uint32_t>(owed.slots.size()));
      }
    }
    first_ = spool_->first_seq() + static_cast<std::uint32_t>(random_() % 400);
    last_ = first_ + static_cast<std::uint32_t>(random_() % 700);
  }

  // Returns the answer; nothing if there is none in a day.
  std::optional<Answer> live() {
    for (int second = 0; second < 86'400; ++second) {
      clock_.now_ms += 1000;
      if (nor_.dead() || random_() % 200 == 0) {
        nor_.power_on();
        boot();
      }
      if (random_() % 30 == 0) {
        nor_.cut_after(static_cast<long>(random_() % 12));
      }
      if (second % 30 == 0) {
        make_epoch();
      }
      if (second % 60 == 0 && random_() % 4 != 0) {
        order(*courier_, resend_command(1, first_, last_, spool_->stream()));
      }
      courier_->poll();
      exchange();
      watch_done_bits();
      if (answer_) {
        return answer_;
      }
    }
    return std::nullopt;
  }

  // Each epoch of the range that the spool holds, and its very slot.
  bool complete() {
    SpoolReader reader(*spool_, first_, last_ + 1, SpoolReader::Which::all);
    EpochRecord record{};
    while (reader.next(record)) {
      const auto found = stored_.find(record.seq);
      if (found == stored_.end() || found->second != record.slot) {
        return false;
      }
    }
    return true;
  }
  std::size_t boots() const { return boots_; }
  bool unset() const { return unset_; }

 private:
  void boot() {
    ++boots_;
    courier_.reset();
    uplink_.sent.clear();
    seen_ = 0;
    spool_.emplace(nor_, SpoolIdentity{1, 2, kStream});
    courier_.emplace(*spool_, uplink_, clock_, wall_clock_, store_, board_, "test 1",
                     random_());
    courier_->begin(spool_->mount());
    courier_->on_state(true);
  }

  void make_epoch() {
    const auto tick_s = static_cast<std::uint32_t>(clock_.now_ms / 1000);
    const auto seq = spool_->append(random_epoch(random_), {tick_s, 0, {}});
    if (seq && !nor_.dead()) {
      courier_->epoch_made(*seq);
    }
  }

  void exchange() {
    for (; seen_ < uplink_.sent.size() && !nor_.dead(); ++seen_) {
      const Published message = uplink_.sent[seen_];
      if (random_() % 10 == 0) {
        continue;  // lost on its way
      }
      courier_->on_ack(message.id);
      if (message.channel == Channel::result) {
        answer_ = answer_of(message);
      }
      if (!carries_epochs(message)) {
        continue;
      }
      for (std::uint32_t i = 0; i < message.frame.slots.size(); ++i) {
        stored_[message.frame.first + i] = message.frame.slots[i];
      }
      if (random_() % 5 != 0) {
        const auto count = static_cast<std::uint8_t>(message.frame.slots.size());
        const auto ack = encode_ack(message.frame.stream, {{message.frame.first, count, 0}});
        courier_->on_message(DownChannel::ack, ack.data(), ack.size());
        courier_->poll();
      }
    }
    if (random_() % 300 == 0) {
      courier_->on_state(false);
      courier_->on_state(true);
    }
  }

  // A D bit is cleared for good, as long as its sector keeps its number. What is behind the
  // head is erased, and a cut may leave anything of it.
  void watch_done_bits() {
    const std::uint32_t head = (spool_->next_seq() - 1) / layout::kSlotsPerSector;
    for (std::uint32_t sector = 0; sector < nor_.sectors(); ++sector) {
      const std::uint8_t* bytes = &nor_.byte_at(sector * Flash::kSectorSize);
      std::array<std::uint8_t, layout::kFirstSlotOffset>& before = before_.at(sector);
      const bool behind =
          sector == (head + 1) % nor_.sectors() || sector == (head + 2) % nor_.sectors();
      if (!behind && std::equal(bytes, bytes + layout::kHeaderSize, before.begin())) {
        for (std::uint32_t i = layout::kDoneOffset; i < layout::kFirstSlotOffset; ++i) {
          unset_ = unset_ || (bytes[i] & ~unsigned{before.at(i)}) != 0;
        }
      }
      std::copy_n(bytes, before.size(), before.begin());
    }
  }

  std::mt19937_64 random_;
  TornNor nor_;
  SimulatedClock clock_;
  WallClock wall_clock_{clock_, 1'600'000'000};
  MemoryStore store_;
  TestBoard board_;
  ScriptedUplink uplink_{clock_};
  std::optional<Spool> spool_;
  std::optional<Courier> courier_;
  std::size_t boots_ = 0;
  std::size_t seen_ = 0;
  std::uint32_t first_ = 0;
  std::uint32_t last_ = 0;
  std::map<std::uint32_t, Slot> stored_;
  std::optional<Answer> answer_;
  std::array<std::array<std::uint8_t, layout::kFirstSlotOffset>, 5>
      before_{};  // of each sector
  bool unset_ = false;
};

}  // namespace

TEST_CASE("a resend through power cuts, lost messages and lost answers brings every epoch") {
  const long first = number_from("NOCTIS_SEED", 1);
  const long runs = number_from("NOCTIS_RUNS", 60);
  std::size_t boots = 0;
  for (long seed = first; seed < first + runs; ++seed) {
    CAPTURE(seed);
    Restored device(static_cast<std::uint64_t>(seed));
    const auto answer = device.live();
    REQUIRE(answer);
    CHECK(answer->state == "done");
    CHECK(device.complete());
    CHECK_FALSE(device.unset());
    boots += device.boots();
  }
  CHECK(boots > 2 * static_cast<std::size_t>(runs));
}
