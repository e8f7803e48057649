// The spool on the target: a run of power cuts, a whole device, and what its work takes.
#include <algorithm>
#include <array>
#include <cstdio>

#include "checks.hpp"
#include "meter.hpp"
#include "noctis/crc.hpp"
#include "small_device.hpp"

namespace noctis::target {
namespace {

constexpr SpoolIdentity kIdentity{0x0E0E0E0EU, 0xC41BU, 0x1122334455667788U};
constexpr std::uint32_t kSectors = 4;
constexpr std::uint32_t kLives = 300;
constexpr std::uint32_t kSlots = kSectors * layout::kSlotsPerSector;
constexpr std::uint32_t kKept = 128;  // of the newest epochs, what is looked for after a cut
constexpr std::uint32_t kDeviceEpochs = 240;

std::uint8_t chip[Spool::kMaxSectors * Flash::kSectorSize];

// An epoch of which every bit follows from its number.
Epoch numbered(std::uint32_t number) {
  Epoch epoch{};
  std::uint32_t bits = number * 2654435761U;
  for (std::size_t i = 0; i < kFeatureCount; ++i) {
    bits = bits * 1664525U + 1013904223U;
    epoch.codes[i] = static_cast<std::uint16_t>((bits >> 8U) % (1U << kFeatures[i].bits));
  }
  epoch.in_bed = number % 2 == 0;
  return epoch;
}

// Boots, looks for what the lives before it stored, stores more until its power is cut.
class Lives {
 public:
  void live(std::uint32_t life) {
    nor_.power_on();
    Spool spool(nor_, kIdentity);
    expect(spool.mount() != Spool::Mount::unreadable, "mount after a cut", life);
    look(spool, life);
    nor_.cut_after(life * 37 % 400);
    while (!nor_.dead()) {
      const std::uint32_t made = ++made_;
      const auto seq = spool.append(numbered(made), {30 * made, 0, std::nullopt});
      if (!seq || nor_.dead()) {
        expect(nor_.dead(), "append", life);
        break;
      }
      kept_[stored_++ % kKept] = {*seq, encode_slot(numbered(made))};
      if (made % 5 == 0) {
        spool.mark_done(spool.stream(), *seq - std::min<std::uint32_t>(*seq, 3), 4);
      }
    }
  }
  [[nodiscard]] std::uint32_t stored() const { return stored_; }

 private:
  struct Stored {
    std::uint32_t seq;
    Slot slot;
  };

  void look(Spool& spool, std::uint32_t life) {
    const std::uint32_t count = std::min(stored_, kKept);
    std::uint32_t found = 0;
    std::uint32_t last = 0;
    SpoolReader reader(spool, 0, spool.next_seq(), SpoolReader::Which::all);
    EpochRecord record{};
    while (reader.next(record)) {
      expect(last == 0 || record.seq > last, "seqs ascend", life);
      last = record.seq;
      const Stored* const begin = kept_.data();
      const Stored* const end = begin + count;
      const Stored* const kept =
          std::find_if(begin, end, [&](const Stored& one) { return one.seq == record.seq; });
      if (kept != end) {
        found += kept->slot == record.slot ? 1 : 0;
      }
    }
    expect(found == count, "every stored epoch is there after a cut", life);
  }

  RamNor nor_{chip, kSectors, 20260101};
  std::array<Stored, kKept> kept_{};
  std::uint32_t stored_ = 0;
  std::uint32_t made_ = 0;
};

void print_digest(const char* what, std::uint32_t sectors, std::uint32_t count) {
  const std::uint32_t digest = crc32(chip, std::size_t{sectors} * Flash::kSectorSize);
  std::printf("spool %s %lu %08lx\n", what, static_cast<unsigned long>(count),
              static_cast<unsigned long>(digest));
}

// Epochs until some sectors are full: the usual append, and the dearest one.
void measure_appends(Spool& spool) {
  Cost usual;
  Cost dearest;
  for (std::uint32_t number = 0; number < 2 * layout::kSlotsPerSector; ++number) {
    const Epoch epoch = numbered(number);
    const Cost cost = cost_of([&] { spool.append(epoch, {30 * number, 0, std::nullopt}); });
    usual = number == 1 ? cost : usual;
    dearest.instructions = std::max(dearest.instructions, cost.instructions);
    dearest.stack = std::max(dearest.stack, cost.stack);
  }
  print("append", usual);
  print("append_dearest", dearest);
}

void measure_frames(Spool& spool) {
  static Frame frame;
  const std::uint32_t newest = spool.next_seq() - 1;
  print("frame_of_1", cost_of([&] { spool.live_frame(newest, frame); }));
  print("frame_of_64", cost_of([&] { spool.next_backlog(0, newest, frame); }));
  expect(frame.count() == Frame::kMaxSlots, "a full frame of backlog", frame.count());
  print("mark_64_done", cost_of([&] { spool.mark_done(spool.stream(), frame.first(), 64); }));
}

// Fills the chip with copies of its first sector, each under its own number.
void fill_chip() {
  const auto first = layout::decode_header(chip);
  expect(first.has_value(), "the first sector's header");
  if (!first) {
    return;
  }
  for (std::uint32_t no = 1; no + 1 < Spool::kMaxSectors; ++no) {
    std::uint8_t* const sector = chip + std::size_t{no} * Flash::kSectorSize;
    std::copy_n(chip, Flash::kSectorSize, sector);
    layout::SectorHeader header = *first;
    header.sector_no = no;
    const layout::HeaderBytes bytes = layout::encode_header(header);
    std::copy(bytes.begin(), bytes.end(), sector);
  }
}

}  // namespace

void check_spool() {
  Lives lives;
  for (std::uint32_t life = 0; life < kLives; ++life) {
    lives.live(life);
  }
  expect(lives.stored() > 4 * kSlots, "the ring went round", lives.stored());
  print_digest("after_cuts", kSectors, lives.stored());
}

void check_device() {
  RamNor nor(chip, kSectors, 1);
  static SmallDevice device(nor, 20260102);
  for (std::uint32_t number = 0; number < kDeviceEpochs; ++number) {
    device.live_one_epoch();
  }
  expect(device.refused() == 0, "the spool takes every epoch", device.refused());
  expect(device.platform().live > kDeviceEpochs / 2, "epochs go out live",
         device.platform().live);
  expect(device.platform().backlog > 0, "the backlog goes out");
  expect(device.platform().results > 0, "what was asked for again goes out");
  char json[Courier::kStatusSize];
  print("status", cost_of([&] { device.courier().status("online", json); }));
  std::printf("status %s\n", json);
  print_digest("of_device", kSectors, device.platform().backlog);
}

void measure_spool() {
  RamNor nor(chip, Spool::kMaxSectors, 1);
  Spool spool(nor, kIdentity);
  print("mount_blank", cost_of([&] { spool.mount(); }));
  measure_appends(spool);
  measure_frames(spool);
  fill_chip();
  Spool full(nor, kIdentity);
  nor.reads = nor.read_bytes = 0;
  print("mount_full", cost_of([&] { full.mount(); }));
  expect(full.backlog() > 2000 * layout::kSlotsPerSector / 2, "the full chip is mounted",
         full.backlog());
  std::printf("flash mount_full %lu %lu\n", static_cast<unsigned long>(nor.reads),
              static_cast<unsigned long>(nor.read_bytes));
}

}  // namespace noctis::target
