#include "noctis/slot.hpp"

#include "noctis/crc.hpp"

namespace noctis {
namespace {

constexpr std::size_t kBody = kSlotSize - 1;
constexpr std::uint8_t kRunKind = 1;

class BitWriter {
 public:
  void put(std::uint32_t value, unsigned width) {
    for (unsigned i = 0; i < width; ++i, ++bit_) {
      if (((value >> i) & 1U) != 0) {
        slot_[bit_ / 8] |= static_cast<std::uint8_t>(1U << (bit_ % 8));
      }
    }
  }
  Slot finish() {
    slot_[kBody] = crc8(slot_.data(), kBody);
    return slot_;
  }

 private:
  Slot slot_{};
  unsigned bit_ = 0;
};

class BitReader {
 public:
  explicit BitReader(const Slot& slot) : slot_(slot) {}
  std::uint32_t get(unsigned width) {
    std::uint32_t value = 0;
    for (unsigned i = 0; i < width; ++i, ++bit_) {
      value |= ((static_cast<std::uint32_t>(slot_[bit_ / 8]) >> (bit_ % 8)) & 1U) << i;
    }
    return value;
  }

 private:
  const Slot& slot_;
  unsigned bit_ = 1;  // behind the kind
};

}  // namespace

Slot encode_slot(const Epoch& epoch) {
  BitWriter bits;
  bits.put(0, 1);
  for (std::size_t i = 0; i < kFeatureCount; ++i) {
    bits.put(epoch.codes[i], kFeatures[i].bits);
  }
  bits.put(epoch.in_bed ? 1 : 0, 1);
  return bits.finish();
}

Slot encode_slot(const Run& run) {
  BitWriter bits;
  bits.put(kRunKind, 1);
  bits.put(static_cast<std::uint32_t>(run.reason), 3);
  bits.put(run.voids, 8);
  bits.put(run.boot_seq, 32);
  bits.put(run.tick_s, 28);
  bits.put(run.utc_s, 32);
  return bits.finish();
}

bool intact(const Slot& slot) { return crc8(slot.data(), kBody) == slot[kBody]; }

bool is_run(const Slot& slot) { return (slot[0] & 1U) == kRunKind; }

Epoch decode_epoch(const Slot& slot) {
  BitReader bits(slot);
  Epoch epoch{};
  for (std::size_t i = 0; i < kFeatureCount; ++i) {
    epoch.codes[i] = static_cast<std::uint16_t>(bits.get(kFeatures[i].bits));
  }
  epoch.in_bed = bits.get(1) != 0;
  return epoch;
}

Run decode_run(const Slot& slot) {
  BitReader bits(slot);
  Run run{};
  run.reason = static_cast<RunReason>(bits.get(3));
  run.voids = static_cast<std::uint8_t>(bits.get(8));
  run.boot_seq = bits.get(32);
  run.tick_s = bits.get(28);
  run.utc_s = bits.get(32);
  return run;
}

}  // namespace noctis
