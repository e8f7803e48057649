#include <map>
#include <memory>

#include "spool_helpers.hpp"
#include "torn_nor.hpp"

using namespace noctis;
using namespace noctis::test;

namespace {

constexpr std::uint32_t kSlots = layout::kSlotsPerSector;
constexpr SpoolIdentity kMine{0x11111111, 0x22222222, 0xAAAAAAAAAAAAAAAAULL};

// A chip and its spool; tick_s tells the epochs apart.
struct Chip {
  explicit Chip(std::uint32_t sectors = 8) : nor(sectors, 5) {}

  Spool& boot(const SpoolIdentity& identity = kMine) {
    spool = std::make_unique<Spool>(nor, identity);
    mounted = spool->mount();
    return *spool;
  }
  std::uint32_t append(std::optional<RunReason> breaks = {}) {
    const auto seq = spool->append(random_epoch(random), {tick_s, 0, breaks});
    tick_s += 30;
    REQUIRE(seq);
    return *seq;
  }
  void append_many(int count) {
    for (int i = 0; i < count; ++i) {
      append();
    }
  }
  std::vector<EpochRecord> all() const {
    std::vector<EpochRecord> records;
    SpoolReader reader(*spool, 0, spool->next_seq(), SpoolReader::Which::all);
    EpochRecord record{};
    while (reader.next(record)) {
      records.push_back(record);
    }
    return records;
  }
  std::uint32_t address(std::uint32_t seq) const {
    return seq / kSlots % nor.sectors() * Flash::kSectorSize +
           layout::slot_offset(seq % kSlots);
  }

  TornNor nor;
  std::mt19937_64 random{3};
  std::unique_ptr<Spool> spool;
  Spool::Mount mounted{};
  std::uint32_t tick_s = 0;
};

std::uint32_t tick_of(const EpochRecord& record) {
  return decode_run(record.run).tick_s + 30 * (record.seq - record.run_seq - 1);
}

}  // namespace

TEST_CASE("no slot crosses a page and the last one ends within the sector") {
  for (std::uint32_t slot = 0; slot < kSlots; ++slot) {
    const std::uint32_t first = layout::slot_offset(slot);
    const std::uint32_t last = first + static_cast<std::uint32_t>(kSlotSize) - 1;
    CHECK(first / Flash::kPageSize == last / Flash::kPageSize);
    CHECK(last < Flash::kSectorSize);
    CHECK(first >= (slot == 0 ? 116 : layout::slot_offset(slot - 1) + kSlotSize));
  }
}

TEST_CASE("a blank chip begins a stream with a RUN at seq 0") {
  Chip chip;
  chip.boot();
  CHECK(chip.mounted == Spool::Mount::fresh);
  CHECK(chip.append() == 1);
  CHECK(chip.append() == 2);
  const auto frames = sweep(*chip.spool);
  REQUIRE(frames.size() == 1);
  CHECK(frames[0].stream == kMine.new_stream);
  CHECK(frames[0].first == 1);
  CHECK(frames[0].run_seq == 0);
  CHECK(frames[0].run.reason == RunReason::boot);
  CHECK(frames[0].run.voids == 0);
  CHECK(frames[0].run.boot_seq == 1);
}

TEST_CASE("every sector begins with a RUN that carries the grid on") {
  Chip chip;
  chip.boot();
  chip.append_many(600);
  for (const EpochRecord& record : chip.all()) {
    CHECK(record.seq / kSlots == record.run_seq / kSlots);
    CHECK(decode_run(record.run).boot_seq == 1);
  }
  const auto records = chip.all();
  REQUIRE(records.size() == 600);
  for (std::uint32_t i = 0; i < records.size(); ++i) {
    CHECK(tick_of(records[i]) == 30 * i);
  }
  CHECK(decode_run(records[599].run).reason == RunReason::sector);
}

TEST_CASE("a boot burns one slot, says so in its RUN, and counts up") {
  Chip chip;
  chip.boot();
  chip.append_many(3);
  chip.boot();
  CHECK(chip.mounted == Spool::Mount::ready);
  CHECK(chip.append() == 6);  // RUN 0, epochs 1..3, burnt 4, RUN 5
  const EpochRecord last = chip.all().back();
  CHECK(decode_run(last.run).voids == 1);
  CHECK(decode_run(last.run).boot_seq == 2);
  CHECK(chip.spool->stream() == kMine.new_stream);
}

TEST_CASE("a boot loop wears nothing and counts no boots") {
  Chip chip;
  chip.boot();
  chip.append_many(300);
  const long writes = chip.nor.programs + chip.nor.erases;
  for (int i = 0; i < 1000; ++i) {
    chip.boot();
  }
  CHECK(chip.nor.programs + chip.nor.erases == writes);
  CHECK(chip.spool->boot_seq() == 2);
}

TEST_CASE("each kind of break begins a run that names it") {
  for (const RunReason reason :
       {RunReason::grid, RunReason::clock_learnt, RunReason::clock_step}) {
    Chip chip;
    chip.boot();
    chip.append_many(2);
    const std::uint32_t seq = chip.append(reason);
    CHECK(seq == 4);
    CHECK(decode_run(chip.all().back().run).reason == reason);
    CHECK(decode_run(chip.all().back().run).voids == 0);
  }
}

TEST_CASE("a slot that does not take its bits is skipped and no time shifts") {
  Chip chip;
  chip.boot();
  chip.append_many(4);
  chip.nor.stuck_from = chip.address(5);
  chip.nor.stuck_to = chip.nor.stuck_from + 5;
  CHECK(chip.append() == 7);  // 5 is void, 6 a RUN
  chip.append_many(2);
  const auto records = chip.all();
  REQUIRE(records.size() == 7);
  for (std::uint32_t i = 0; i < records.size(); ++i) {
    CHECK(tick_of(records[i]) == 30 * i);
  }
  CHECK(decode_run(records[4].run).reason == RunReason::grid);
  CHECK(decode_run(records[4].run).voids == 1);
}

TEST_CASE("a valid bit that does not take is never an epoch") {
  Chip chip;
  chip.boot();
  chip.append_many(7);
  chip.nor.stuck_from = layout::kValidOffset + 1;  // slots 8 to 15
  chip.nor.stuck_to = chip.nor.stuck_from + 1;
  CHECK_FALSE(chip.spool->append(random_epoch(chip.random), {chip.tick_s, 0, {}}));
  chip.append();
  CHECK(chip.all().size() == 8);
  chip.nor.byte_at(layout::kValidOffset + 1) = 0;  // comes up after all
  chip.boot();
  CHECK(chip.all().size() == 8);
}

TEST_CASE("a sector that takes no header is passed over") {
  Chip chip;
  chip.boot();
  chip.nor.stuck_from = Flash::kSectorSize + 4;
  chip.nor.stuck_to = Flash::kSectorSize + 8;
  chip.append_many(279);
  CHECK(chip.append() == 2 * kSlots + 1);
  const auto records = chip.all();
  CHECK(records.size() == 280);
  CHECK(decode_run(records.back().run).voids == 255);
}

TEST_CASE("a sector whose erase left something in its bitmaps is passed over") {
  for (const std::uint32_t offset : {layout::kValidOffset + 3, layout::kDoneOffset + 30}) {
    Chip chip;
    chip.boot();
    chip.append_many(279);
    chip.nor.byte_at(Flash::kSectorSize + offset) = 0xFB;
    CHECK(chip.append() == 2 * kSlots + 1);
    CHECK(chip.all().size() == 280);
  }
}

TEST_CASE("a chip that refuses to write keeps all it has and goes on later without a gap") {
  Chip chip;
  chip.boot();
  chip.append_many(5);
  chip.nor.refuses = true;
  for (int i = 0; i < 100; ++i) {
    CHECK_FALSE(chip.spool->append(random_epoch(chip.random), {chip.tick_s, 0, {}}));
  }
  chip.nor.refuses = false;
  CHECK(chip.append() == 6);
  CHECK(chip.all().size() == 6);
}

TEST_CASE("marks outlive a boot and frames hold only what is not done") {
  Chip chip;
  chip.boot();
  chip.append_many(700);
  const std::uint64_t stream = chip.spool->stream();
  chip.spool->mark_done(stream, 10, 5);
  chip.spool->mark_done(stream, kSlots - 3, 6);  // across two sectors
  chip.spool->mark_done(stream + 1, 100, 50);
  CHECK(chip.spool->backlog() == 700 - 5 - 5);  // one of the six is a RUN
  chip.boot();
  CHECK(chip.spool->backlog() == 690);
  std::uint32_t pending = 0;
  for (const ReadFrame& frame : sweep(*chip.spool)) {
    pending += static_cast<std::uint32_t>(frame.slots.size());
    CHECK((frame.first + frame.slots.size() <= 10 || frame.first >= 15));
  }
  CHECK(pending == 690);
}

TEST_CASE("when full, the oldest sector goes first and is counted") {
  Chip chip(5);
  chip.boot();
  chip.append_many(4 * 279);
  CHECK(chip.spool->overwritten() == 0);
  CHECK(chip.spool->oldest_seq() == 0);
  chip.spool->mark_done(chip.spool->stream(), 0, 100);  // 99 epochs and a RUN
  chip.append();
  CHECK(chip.spool->overwritten() == 279 - 99);
  CHECK(chip.spool->oldest_seq() == kSlots);
  CHECK(chip.spool->backlog() == 3 * 279 + 1);
  CHECK(sweep(*chip.spool).front().first == kSlots + 1);
  chip.boot();
  CHECK(chip.spool->oldest_seq() == kSlots);
  CHECK(chip.spool->backlog() == 3 * 279 + 1);
}

TEST_CASE("an old sector that should have been erased already counts no more") {
  Chip chip(5);
  chip.boot();
  chip.append_many(4 * 279);
  chip.nor.refuses_erase = true;
  chip.append();
  CHECK(chip.spool->backlog() == 3 * 279 + 1);
  chip.boot();
  chip.nor.refuses_erase = false;
  CHECK(chip.spool->backlog() == 3 * 279 + 1);
  CHECK(sweep(*chip.spool).front().first == kSlots + 1);
  chip.append();
  CHECK(chip.spool->backlog() == 3 * 279 + 2);
}

TEST_CASE("a full 8 MiB chip holds 570,834 epochs at its worst moment") {
  Chip chip(2048);
  chip.boot();
  chip.append_many(2049 * 279);               // the ring is full and the head too
  const std::uint32_t first = chip.append();  // the first of a new sector
  CHECK(first % kSlots == 1);
  CHECK(chip.spool->backlog() == 2046 * 279 + 1);
  CHECK(2046 * 279 == 570834);
  chip.nor.reads = chip.nor.read_bytes = 0;
  chip.boot();
  CHECK(chip.spool->backlog() == 570835);
  // Each header once, each header with its bitmaps once for the backlog, the head's slots.
  CHECK(chip.nor.reads <= 2 * 2048 + 40);
  CHECK(chip.nor.read_bytes <= 2048 * (46 + 116) + 5000);
  MESSAGE("mount: ", chip.nor.reads, " reads, ", chip.nor.read_bytes, " bytes");
}

TEST_CASE("a rotten slot is left out and counted, the others keep their times") {
  Chip chip;
  chip.boot();
  chip.append_many(20);
  chip.nor.byte_at(chip.address(7) + 3) ^= 0x04;
  std::uint32_t pending = 0;
  for (const ReadFrame& frame : sweep(*chip.spool)) {
    for (std::uint32_t i = 0; i < frame.slots.size(); ++i) {
      CHECK(frame.first + i != 7);
      CHECK(frame.tick_s(i) == 30 * (frame.first + i - 1));
      ++pending;
    }
  }
  CHECK(pending == 19);
  CHECK(chip.spool->damaged() == 1);
  CHECK(chip.spool->backlog() == 19);
}

TEST_CASE("epochs behind a rotten RUN are never sent with another run's time") {
  Chip chip;
  chip.boot();
  chip.append_many(3);
  chip.tick_s += 500;
  chip.append(RunReason::grid);  // RUN 4, epoch 5
  chip.append_many(2);
  chip.nor.byte_at(chip.address(4) + 9) ^= 0x20;
  const auto frames = sweep(*chip.spool);
  REQUIRE(frames.size() == 1);
  CHECK(frames[0].slots.size() == 3);
  CHECK(chip.spool->damaged() == 3);
  CHECK(chip.spool->backlog() == 3);
}

TEST_CASE("a slot whose very kind has rotted shifts no time and takes no others with it") {
  for (const std::uint32_t rotten : {4U, 5U}) {  // the RUN, the epoch behind it
    Chip chip;
    chip.boot();
    chip.append_many(3);
    chip.tick_s += 500;
    chip.append(RunReason::grid);  // RUN 4, epoch 5
    chip.append_many(2);
    chip.nor.byte_at(chip.address(rotten)) ^= 0x01;
    const auto records = chip.all();
    CHECK(records.size() == (rotten == 4 ? 3 : 5));
    CHECK(tick_of(records.back()) == (rotten == 4 ? 60 : 650));
  }
}

TEST_CASE("a slot that is misread once is neither lost nor done") {
  Chip chip;
  chip.boot();
  chip.append_many(20);
  chip.nor.misread_next = chip.address(7) + 3;
  REQUIRE(sweep(*chip.spool).size() == 1);
  CHECK(chip.nor.misread_next == TornNor::kNothing);
  CHECK(sweep(*chip.spool).front().slots.size() == 20);
  CHECK(chip.spool->damaged() == 0);
}

TEST_CASE("if the newest header is misread at a mount, its sector is not taken for the gap") {
  Chip chip;
  chip.boot();
  chip.append_many(400);
  const std::uint32_t next = chip.spool->next_seq();
  chip.nor.misread_next = Flash::kSectorSize + 20;
  chip.boot();
  CHECK(chip.nor.misread_next == TornNor::kNothing);
  CHECK(chip.append() >= next);
  chip.boot();
  CHECK(chip.all().size() == 401);
}

TEST_CASE("what was overwritten is counted from the mount on, oldest_seq tells it for ever") {
  Chip chip(5);
  chip.boot();
  chip.append_many(4 * 279 + 1);  // the first sector is gone, none of it was done
  CHECK(chip.spool->overwritten() == 279);
  chip.boot();
  CHECK(chip.spool->overwritten() == 0);
  CHECK(chip.spool->oldest_seq() == kSlots);
  chip.append_many(279);
  CHECK(chip.spool->overwritten() == 279);
  CHECK(chip.spool->oldest_seq() == 2 * kSlots);
  chip.boot();
  CHECK(chip.spool->oldest_seq() == 2 * kSlots);
}

TEST_CASE("what rotted is counted once, by the mount that met it") {
  Chip chip;
  chip.boot();
  chip.append_many(20);
  chip.nor.byte_at(chip.address(7) + 3) ^= 0x04;
  sweep(*chip.spool);
  sweep(*chip.spool);
  CHECK(chip.spool->damaged() == 1);
  chip.boot();
  sweep(*chip.spool);
  CHECK(chip.spool->damaged() == 0);
  CHECK(chip.spool->backlog() == 19);
}

TEST_CASE("a format at provisioning leaves nothing of the owner before") {
  Chip chip(4);
  chip.boot();
  chip.append_many(6 * 279);
  chip.boot({0x99999999, kMine.chip, 0xBBBBBBBBBBBBBBBBULL});
  CHECK(chip.mounted == Spool::Mount::new_stream);
  CHECK(chip.spool->backlog() == 0);
  chip.spool->format();
  for (std::uint32_t at = 0; at < 4 * Flash::kSectorSize; ++at) {
    REQUIRE(chip.nor.byte_at(at) == 0xFF);
  }
  CHECK(chip.append() == 1);
  CHECK(chip.spool->stream() == 0xBBBBBBBBBBBBBBBBULL);
  chip.boot();  // the owner before: nothing is there for it
  CHECK(chip.all().empty());
}

TEST_CASE("a slot without its valid bit is no epoch, whatever it holds") {
  Chip chip;
  chip.boot();
  chip.append_many(3);
  for (std::uint32_t i = 0; i < kSlotSize; ++i) {
    chip.nor.byte_at(chip.address(4) + i) = chip.nor.byte_at(chip.address(3) + i);
  }
  chip.boot();
  CHECK(chip.all().size() == 3);
  chip.append();
  CHECK(chip.all().size() == 4);
}

TEST_CASE("a header that is not in its place does not count") {
  Chip chip;
  chip.boot();
  chip.append_many(400);
  const auto header = layout::encode_header({kMine.new_stream, kMine.owner, 9, kMine.chip});
  for (std::uint32_t i = 0; i < header.size(); ++i) {
    chip.nor.byte_at(3 * Flash::kSectorSize + i) = header[i];  // sector 9 belongs to place 1
  }
  chip.boot();
  CHECK(chip.all().size() == 400);
  CHECK(chip.append() < 2 * kSlots);
}

TEST_CASE("an unreadable header costs its sector and nothing else") {
  Chip chip;
  chip.boot();
  chip.append_many(3 * 279);
  chip.nor.byte_at(Flash::kSectorSize + 9) ^= 0x01;
  chip.boot();
  CHECK(chip.all().size() == 2 * 279);
  CHECK(chip.append() == 3 * kSlots + 1);
}

TEST_CASE("if the newest header rots, its seqs are not given out again") {
  for (const int epochs : {280, 300, 500, 558}) {
    Chip chip;
    chip.boot();
    chip.append_many(epochs);
    const std::uint32_t next = chip.spool->next_seq();
    const std::uint32_t boot_seq = chip.spool->boot_seq();
    chip.nor.byte_at(Flash::kSectorSize + 20) ^= 0x80;
    chip.boot();
    CHECK(chip.append() >= next);
    CHECK(chip.spool->boot_seq() > boot_seq + 1);
    chip.boot();
    CHECK(chip.append() > next);
    CHECK(chip.all().size() == 281);
  }
}

TEST_CASE("a chip that holds something else is not formatted") {
  Chip chip;
  chip.nor.byte_at(5 * Flash::kSectorSize + 2000) = 0x7F;
  chip.boot();
  CHECK(chip.mounted == Spool::Mount::unreadable);
  CHECK_FALSE(chip.spool->append(random_epoch(chip.random), {}));
  CHECK(chip.nor.programs + chip.nor.erases == 0);
  chip.spool->format();
  CHECK(chip.append() == 1);
  CHECK(chip.all().size() == 1);
}

TEST_CASE("a spool whose headers are all unreadable is not formatted") {
  Chip chip;
  chip.boot();
  chip.append_many(50);
  chip.nor.byte_at(8) ^= 0x01;
  chip.boot();
  CHECK(chip.mounted == Spool::Mount::unreadable);
}

TEST_CASE("another owner's epochs are never sent, and its seqs not given out again") {
  Chip chip;
  chip.boot();
  chip.append_many(300);
  const std::uint32_t next = chip.spool->next_seq();
  chip.boot({0x99999999, kMine.chip, 0xBBBBBBBBBBBBBBBBULL});
  CHECK(chip.mounted == Spool::Mount::new_stream);
  CHECK(chip.spool->backlog() == 0);
  CHECK(sweep(*chip.spool).empty());
  CHECK(chip.all().empty());
  CHECK(chip.append() >= next);
  CHECK(chip.spool->stream() == 0xBBBBBBBBBBBBBBBBULL);
  CHECK(chip.spool->oldest_seq() == 2 * kSlots);
  const auto frames = sweep(*chip.spool);
  REQUIRE(frames.size() == 1);
  CHECK(frames[0].stream == 0xBBBBBBBBBBBBBBBBULL);
  CHECK(frames[0].run.voids == 0);
}

TEST_CASE("on another chip a new stream begins, and what the old one owes is still delivered") {
  Chip chip;
  chip.boot();
  chip.append_many(10);
  chip.boot({kMine.owner, 0x33333333, 0xBBBBBBBBBBBBBBBBULL});
  CHECK(chip.mounted == Spool::Mount::new_stream);
  chip.append_many(2);
  auto frames = sweep(*chip.spool);
  REQUIRE(frames.size() == 2);
  CHECK(frames[0].stream == kMine.new_stream);
  CHECK(frames[0].slots.size() == 10);
  CHECK(frames[1].stream == 0xBBBBBBBBBBBBBBBBULL);
  CHECK(chip.spool->oldest_seq() == kSlots);
  chip.spool->mark_done(0xBBBBBBBBBBBBBBBBULL, frames[0].first, 10);  // not that stream's
  CHECK(chip.spool->backlog() == 12);
  chip.spool->mark_done(kMine.new_stream, frames[0].first, 10);
  CHECK(chip.spool->backlog() == 2);
  chip.boot({kMine.owner, 0x33333333, 1});
  CHECK(chip.mounted == Spool::Mount::ready);
  CHECK(chip.spool->stream() == 0xBBBBBBBBBBBBBBBBULL);
  CHECK(chip.spool->backlog() == 2);
}

TEST_CASE("a power cut in the very first writes of a chip never leaves it unusable") {
  for (std::uint64_t seed = 1; seed <= 4000; ++seed) {
    CAPTURE(seed);
    TornNor nor(6, seed);
    std::mt19937_64 random(seed);
    std::map<std::uint32_t, Slot> made;
    std::uint64_t stream = 0;
    for (int life = 0; life < 4; ++life) {
      nor.power_on();
      Spool spool(nor, {1, 2, random()});
      REQUIRE(spool.mount() != Spool::Mount::unreadable);
      REQUIRE((made.empty() || spool.stream() == stream));
      if (life < 3) {
        nor.cut_after(static_cast<long>(random() % 5));
      }
      for (std::uint32_t i = 0; i < 3 && !nor.dead(); ++i) {
        const Epoch epoch = random_epoch(random);
        const auto seq = spool.append(epoch, {30 * i, 0, {}});
        if (!nor.dead()) {
          REQUIRE(seq);
          REQUIRE(made.emplace(*seq, encode_slot(epoch)).second);
          stream = spool.stream();
        }
      }
    }
    nor.power_on();
    Spool spool(nor, {1, 2, 3});
    REQUIRE(spool.mount() == Spool::Mount::ready);
    SpoolReader reader(spool, 0, spool.next_seq(), SpoolReader::Which::all);
    EpochRecord record{};
    std::size_t found = 0;
    while (reader.next(record)) {
      const auto it = made.find(record.seq);
      found += it != made.end() && it->second == record.slot ? 1 : 0;
    }
    REQUIRE(found == made.size());
  }
}

TEST_CASE("a format that is cut short leaves a spool that knows its seqs") {
  for (long cut = 0; cut < 7; ++cut) {
    Chip chip;
    chip.boot();
    chip.append_many(5 * 279);
    const std::uint32_t next = chip.spool->next_seq();
    chip.nor.cut_after(cut);
    chip.spool->format();
    chip.nor.power_on();
    chip.boot();
    CHECK(chip.mounted == Spool::Mount::ready);
    CHECK(chip.append() >= next);
  }
}

TEST_CASE("while a format goes on nothing is stored or found, and no sector is passed over") {
  Chip chip;
  chip.boot();
  chip.append_many(5 * 279);
  const std::uint64_t stream = chip.spool->stream();
  chip.spool->begin_format();
  CHECK(chip.spool->backlog() == 0);
  CHECK_FALSE(chip.spool->holds(stream));
  const long erases = chip.nor.erases;
  CHECK_FALSE(chip.spool->append(Epoch{}, {}));
  CHECK_FALSE(chip.spool->format_some(2));
  CHECK(chip.nor.erases == erases + 2);
  chip.nor.refuses_erase = true;
  CHECK_FALSE(chip.spool->format_some(100));
  chip.nor.refuses_erase = false;
  CHECK(chip.spool->format_some(100));
  for (std::uint32_t at = 0; at < chip.nor.sectors() * Flash::kSectorSize; ++at) {
    REQUIRE(chip.nor.byte_at(at) == 0xFF);
  }
  CHECK(chip.spool->format_some(1));
}

TEST_CASE("the epochs of a stream are found again, done or not, and those of no other") {
  Chip chip;
  chip.boot();
  const std::uint64_t before = chip.spool->stream();
  chip.append_many(300);
  const std::uint32_t end = chip.spool->next_seq();
  chip.spool->mark_done(before, 0, 250);
  chip.boot({kMine.owner, 0x33333333, 0xBBBBBBBBBBBBBBBBULL});  // the chip was moved
  chip.append_many(5);
  CHECK(chip.spool->holds(before));
  CHECK(chip.spool->holds(0xBBBBBBBBBBBBBBBBULL));
  CHECK_FALSE(chip.spool->holds(before + 1));
  for (const auto& kept :
       {std::pair{before, 300U}, std::pair{std::uint64_t{0xBBBBBBBBBBBBBBBBULL}, 5U}}) {
    const std::uint64_t stream = kept.first;
    CAPTURE(stream);
    Frame frame;
    std::uint32_t found = 0;
    for (std::uint32_t from = 0;
         chip.spool->next_of(stream, from, chip.spool->next_seq(), frame);
         from = frame.last() + 1) {
      CHECK(frame.stream() == stream);
      CHECK((frame.last() < end) == (stream == before));
      found += frame.count();
    }
    CHECK(found == kept.second);
  }
}
