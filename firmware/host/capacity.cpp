#include "capacity.hpp"

#include <algorithm>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "noctis/spool.hpp"
#include "random.hpp"

namespace noctis::host {
namespace {

using layout::kSlotsPerSector;

constexpr SpoolIdentity kIdentity{0x4E6F6374, 0x69732121, 0x6361706163697479};
constexpr std::uint32_t kEpochSeconds = kEpochMs / 1000;
constexpr std::uint32_t kEpochsADay = 24 * 3600 / kEpochSeconds;
constexpr std::uint32_t kEpochsANight = 8 * 3600 / kEpochSeconds;
constexpr std::uint32_t kFirstUtc = 1'700'000'000;
constexpr std::uint32_t kBootSeconds = 47;  // from power on to the first epoch
constexpr double kLeastDays = 189;          // 27 weeks around the clock

// Fills a chip, and knows what must be on it.
class Fill {
 public:
  explicit Fill(MemoryNor& chip) : chip_(chip), spool_(chip, kIdentity) { boot(); }

  void boot() {
    ok_ = ok_ && spool_.mount() != Spool::Mount::unreadable;
    tick_s_ = 0;
    utc_s_ += kBootSeconds;
  }

  void append() {
    const EpochStamp stamp{tick_s_, utc_s_, std::nullopt};
    const auto seq = spool_.append(made_up_epoch(number_of_next()), stamp);
    if (seq) {
      made_.push_back({*seq, utc_s_});
    }
    ok_ = ok_ && seq;
    tick_s_ += kEpochSeconds;
    utc_s_ += kEpochSeconds;
  }

  // Round the chip that often, booting after every `epochs_a_boot`, to where the head is full.
  void go_round(unsigned laps, std::optional<std::uint32_t> epochs_a_boot) {
    const std::uint32_t end = spool_.next_seq() + laps * chip_.sectors() * kSlotsPerSector;
    for (std::uint32_t epochs = 1; ok_ && (spool_.next_seq() < end || !head_full()); ++epochs) {
      append();
      if (epochs_a_boot && epochs % *epochs_a_boot == 0) {
        boot();
      }
    }
  }

  // The power fails where the chip holds least: the next sector has its header, the one behind
  // it was erased, and the first slot is just being written. Then the device boots.
  void cut_at_worst_moment() {
    constexpr int kHeaderAndErase = 2;
    chip_.cut_after(kHeaderAndErase);
    spool_.append(made_up_epoch(number_of_next()), {tick_s_, utc_s_, std::nullopt});
    chip_.power_on();
    boot();
  }

  // Compares all that the spool gives out with all that it must still have; returns how many
  // epochs that is.
  std::uint32_t read_back() {
    SpoolReader reader(spool_, 0, spool_.next_seq(), SpoolReader::Which::all);
    auto expected = std::find_if(made_.begin(), made_.end(), [this](const Made& made) {
      return made.seq >= spool_.oldest_seq();
    });
    std::uint32_t epochs = 0;
    EpochRecord record{};
    while (reader.next(record)) {
      const bool same = expected != made_.end() && matches(record, *expected);
      if (!same && ok_) {
        std::fprintf(stderr, "capacity: seq %u is not the epoch that was appended\n",
                     record.seq);
      }
      ok_ = ok_ && same;
      expected += expected != made_.end() ? 1 : 0;
      ++epochs;
    }
    ok_ = ok_ && expected == made_.end();
    return epochs;
  }

  [[nodiscard]] bool ok() const { return ok_; }

 private:
  struct Made {
    std::uint32_t seq;
    std::uint32_t utc_s;
  };

  [[nodiscard]] std::uint32_t number_of_next() const {
    return static_cast<std::uint32_t>(made_.size());
  }
  [[nodiscard]] bool head_full() const { return spool_.next_seq() % kSlotsPerSector == 0; }

  [[nodiscard]] bool matches(const EpochRecord& record, const Made& made) const {
    const auto number = static_cast<std::uint32_t>(&made - made_.data());
    const std::uint32_t offset_s = kEpochSeconds * (record.seq - record.run_seq - 1);
    return record.stream == kIdentity.new_stream && record.seq == made.seq &&
           record.slot == encode_slot(made_up_epoch(number)) &&
           decode_run(record.run).utc_s + offset_s == made.utc_s;
  }

  MemoryNor& chip_;
  Spool spool_;
  std::vector<Made> made_;  // by the epoch's number
  std::uint32_t tick_s_ = 0;
  std::uint32_t utc_s_ = kFirstUtc;
  bool ok_ = true;
};

bool save(const std::vector<std::uint8_t>& bytes, const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "wb");
  if (file == nullptr) {
    return false;
  }
  const bool written = std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size();
  return std::fclose(file) == 0 && written;
}

void print(const Capacity& capacity, bool json) {
  const double bytes =
      double{Spool::kMaxSectors} * Flash::kSectorSize / static_cast<double>(capacity.epochs);
  const double days = static_cast<double>(capacity.epochs) / kEpochsADay;
  const double nights = static_cast<double>(capacity.epochs) / kEpochsANight;
  if (json) {
    std::printf(
        "{\"epochs\": %u, \"bytes_per_epoch\": %.3f, \"days_24h\": %.2f, \"days_8h\": %.2f, "
        "\"readback_ok\": %s}\n",
        capacity.epochs, bytes, days, nights, capacity.readback_ok ? "true" : "false");
    return;
  }
  std::printf("8 MiB hold %u epochs at the worst moment, %.3f bytes each:\n", capacity.epochs,
              bytes);
  std::printf("%.1f days around the clock, %.1f nights of 8 hours; %s\n", days, nights,
              capacity.readback_ok ? "every epoch was read back as it was appended"
                                   : "NOT every epoch was read back as it was appended");
}

}  // namespace

Epoch made_up_epoch(std::uint32_t number) {
  Epoch epoch{};
  for (std::size_t i = 0; i < kFeatureCount; ++i) {
    const std::uint64_t bits = mix(std::uint64_t{number} * 16 + i);
    epoch.codes[i] = static_cast<std::uint16_t>(bits % (1U << kFeatures[i].bits));
  }
  epoch.in_bed = mix(std::uint64_t{number} * 16 + kFeatureCount) % 2 == 1;
  return epoch;
}

Capacity measure_capacity(MemoryNor& chip) {
  Fill fill(chip);
  std::fputs("capacity: two laps, a boot a day, a power cut\n", stderr);
  fill.go_round(2, kEpochsADay);
  fill.cut_at_worst_moment();
  const std::uint32_t with_boots = fill.read_back();
  std::fprintf(stderr, "capacity: %u epochs read back; a lap without boots, a power cut\n",
               with_boots);
  fill.go_round(1, std::nullopt);
  fill.cut_at_worst_moment();
  const std::uint32_t epochs = fill.read_back();
  std::fprintf(stderr, "capacity: %u epochs read back\n", epochs);
  return {epochs, with_boots, fill.ok()};
}

int capacity_command(int argc, const char* const* argv) {
  constexpr int kFailed = 1;
  constexpr int kBadUsage = 2;
  bool json = false;
  std::string image;
  for (int i = 0; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--json") {
      json = true;
    } else if (name == "--image" && i + 1 < argc) {
      image = argv[++i];
    } else {
      std::fprintf(stderr,
                   "noctis-device capacity: it takes --json and --image FILE, not '%s'\n",
                   argv[i]);
      return kBadUsage;
    }
  }
  MemoryNor chip(Spool::kMaxSectors);
  const Capacity capacity = measure_capacity(chip);
  if (!image.empty() && !save(chip.bytes(), image)) {
    std::fprintf(stderr, "noctis-device capacity: cannot write %s\n", image.c_str());
    return kFailed;
  }
  print(capacity, json);
  const bool enough = capacity.epochs >= kLeastDays * kEpochsADay;
  return capacity.readback_ok && enough ? 0 : kFailed;
}

}  // namespace noctis::host
