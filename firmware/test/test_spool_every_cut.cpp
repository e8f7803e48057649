// Every power cut there is: a device's life of boots, appends, sector changes, acknowledgements
// and a chip that overflows is lived once for each of its flash writes and each kind of tear,
// with the power failing in that very write, and then again in every write that puts it right.
#include <memory>
#include <optional>

#include "spool_ledger.hpp"
#include "torn_nor.hpp"

using namespace noctis;
using namespace noctis::test;

namespace {

constexpr SpoolIdentity kHere{0x0E0E0E0E, 0xC41B, 0x1122334455667788};
constexpr SpoolIdentity kOnAnotherChip{0x0E0E0E0E, 0xC41C, 0x99AABBCCDDEEFF00};
constexpr std::uint32_t kSectors = 4;

// What a device and its ledger know; the chip is beside it. Copies live on on their own.
struct Device {
  explicit Device(TornNor& chip) : nor(chip), ledger(kSectors) {}

  void boot() {
    nor.power_on();
    spool.emplace(nor, identity);
    const long writes = nor.programs + nor.erases;
    REQUIRE(spool->mount() != Spool::Mount::unreadable);
    REQUIRE(nor.programs + nor.erases == writes);
    ledger.check(*spool, nor);
    ledger.check_backlog(*spool);
    first_append = true;
  }

  void append(std::optional<RunReason> breaks = std::nullopt) {
    tick_s += breaks ? 47 : 30;
    const Epoch epoch = ledger.attempt(tick_s, random);
    const std::uint32_t next = spool->next_seq();
    const auto seq = spool->append(epoch, {tick_s, 0, breaks});
    if (nor.dead()) {
      return;
    }
    REQUIRE(seq);
    REQUIRE(*seq - next <= 3);
    if (first_append) {
      first_append = false;
      ledger.keep_what_is_seen(*spool, *seq);
    }
    ledger.appended(*seq);
  }

  void acknowledge(std::uint32_t epochs) {
    const std::uint32_t next = spool->next_seq();
    const std::uint32_t first = next - std::min(next, epochs);
    ledger.acknowledging(first);
    spool->mark_done(spool->stream(), first, epochs + 300);
    if (!nor.dead()) {
      ledger.acknowledged(first);
    }
  }

  TornNor& nor;
  SpoolIdentity identity = kHere;
  std::optional<Spool> spool;
  Ledger ledger;
  std::mt19937_64 random{7};
  std::uint32_t tick_s = 0;
  bool first_append = true;
};

enum class Step : std::uint8_t {
  append,
  append_after_a_break,
  acknowledge_few,
  acknowledge_many
};

void take(Device& device, Step step) {
  switch (step) {
    case Step::append:
      return device.append();
    case Step::append_after_a_break:
      return device.append(RunReason::grid);
    case Step::acknowledge_few:
      return device.acknowledge(9);
    case Step::acknowledge_many:
      return device.acknowledge(400);
  }
}

class EveryCut {
 public:
  EveryCut() : nor_(kSectors, 1), device_(std::make_unique<Device>(nor_)) { device_->boot(); }

  void boot(const SpoolIdentity& identity = kHere) {
    device_->identity = identity;
    device_->boot();
  }

  // Takes a step with the power cut in each of its writes, in each way, then without a cut.
  void step(Step step) {
    if (steps_ % every_ != 0) {
      ++steps_;
      return take(*device_, step);
    }
    const TornNor::Contents contents = nor_.contents();
    const Device before(*device_);
    const long writes = writes_of(step);
    const Device after(*device_);
    const TornNor::Contents contents_after = nor_.contents();
    for (const Tear tear :
         {Tear::nothing, Tear::all, Tear::first_half, Tear::some_bits, Tear::weak}) {
      for (long write = 0; write < writes; ++write) {
        INFO("step ", steps_, ", write ", write, ", tear ", static_cast<int>(tear));
        nor_.restore(contents);
        Device device(before);
        cut(device, step, write, tear);
        REQUIRE(nor_.dead());
        // Twice as many cuts are no news where the first left nothing uncertain.
        recover(device, tear == Tear::some_bits || tear == Tear::weak);
      }
    }
    ++steps_;
    nor_.restore(contents_after);
    device_ = std::make_unique<Device>(after);
  }

  void appends(int count) {
    for (int i = 0; i < count; ++i) {
      step(steps_ % 97 == 96 ? Step::append_after_a_break : Step::append);
      if (steps_ % 11 == 10) {
        step(steps_ % 3 == 0 ? Step::acknowledge_many : Step::acknowledge_few);
      }
    }
  }

  long cuts() const { return cuts_; }
  std::uint32_t next_seq() const { return device_->spool->next_seq(); }

 private:
  long writes_of(Step step) {
    const long before = nor_.programs + nor_.erases;
    take(*device_, step);
    return nor_.programs + nor_.erases - before;
  }

  void cut(Device& device, Step step, long write, Tear tear) {
    ++cuts_;
    nor_.tear_as(tear);
    nor_.cut_after(write);
    take(device, step);
  }

  // The device boots and goes on, also through a second cut in any write of its first append.
  void recover(Device& device, bool cut_again) {
    device.boot();
    const TornNor::Contents contents = nor_.contents();
    const Device before(device);
    const long first = nor_.programs + nor_.erases;
    device.append();
    const long writes = nor_.programs + nor_.erases - first;
    device.acknowledge(3);
    device.append();
    device.boot();
    for (long write = 0; cut_again && write < writes; ++write) {
      INFO("second cut at write ", write);
      nor_.restore(contents);
      Device again(before);
      cut(again, Step::append, write, Tear::random);
      again.boot();
      again.append();
      again.append();
      again.boot();
    }
  }

  TornNor nor_;
  std::unique_ptr<Device> device_;
  long every_ = number_from("NOCTIS_CUT_EVERY", 1);
  long steps_ = 0;
  long cuts_ = 0;
};

}  // namespace

TEST_CASE("nothing is lost, invented or renumbered wherever the power is cut") {
  EveryCut life;
  life.appends(12);
  life.boot();
  life.appends(300);
  life.boot();
  life.boot();
  life.appends(4 * 279);  // the oldest sectors are overwritten
  life.boot();
  life.appends(5);
  life.boot(kOnAnotherChip);
  life.appends(5);
  CHECK(life.next_seq() > 5 * layout::kSlotsPerSector);
  MESSAGE(life.cuts(), " power cuts");
}

// Two cuts that only chance makes dangerous: the slot is whole, its valid bit comes and goes,
// and the power fails again while the slot is struck out.
TEST_CASE(
    "a cut in the cure of a slot whose valid bit comes and goes invents and loses nothing") {
  for (std::uint64_t seed = 0; seed < 20'000; ++seed) {
    INFO("seed ", seed);
    TornNor nor(kSectors, seed);
    Device device(nor);
    device.boot();
    device.append();
    const std::uint32_t slot = device.spool->next_seq();
    nor.tear_as(Tear::nothing);
    nor.cut_after(1);
    device.append();
    nor.make_unstable(layout::kValidOffset + slot / 8, std::uint8_t(1U << (slot % 8)));
    device.boot();
    constexpr long kStrike = 2;  // behind the header and the last valid bit
    nor.tear_as(Tear::some_bits);
    nor.cut_after(kStrike);
    device.append();
    for (int i = 0; i < 3; ++i) {
      device.boot();
      device.append();
    }
    device.boot();
  }
}
