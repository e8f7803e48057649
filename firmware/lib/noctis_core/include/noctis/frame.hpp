// Frames: up to 64 epochs of one run as they travel to the platform, and the acknowledgement
// that comes back. Little-endian.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "noctis/slot.hpp"

namespace noctis {

// magic | version | flags | count | stream u64 | first u32 | run_seq u32 | RUN | slots | crc32
class Frame {
 public:
  static constexpr std::size_t kMaxSlots = 64;
  static constexpr std::size_t kOverhead = 38;
  static constexpr std::size_t kMaxSize = kOverhead + kSlotSize * kMaxSlots;

  // Begins a frame of the run at run_seq; its first slot will be seq first.
  void begin(std::uint64_t stream, std::uint32_t first, std::uint32_t run_seq, const Slot& run);
  // Adds the next seq's EPOCH slot; false if the frame is full.
  bool add(const Slot& slot);
  // Writes the count and the checksum.
  void finish();

  std::uint64_t stream() const { return stream_; }
  std::uint32_t first() const { return first_; }
  std::uint32_t last() const { return first_ + count_ - 1; }
  std::uint8_t count() const { return count_; }
  const std::uint8_t* data() const { return bytes_.data(); }
  std::size_t size() const { return kOverhead + kSlotSize * count_; }

 private:
  std::array<std::uint8_t, kMaxSize> bytes_{};
  std::uint64_t stream_ = 0;
  std::uint32_t first_ = 0;
  std::uint8_t count_ = 0;
};

enum class AckCode : std::uint8_t {
  stored = 0,    // or a duplicate of what is stored
  refused = 1,   // keep it, try again in an hour
  disposed = 2,  // past retention, or of an erased stream: done all the same
};

struct AckRange {
  std::uint32_t first;
  std::uint8_t count;
  std::uint8_t code;  // an AckCode, or one of a later version
};

// A view of an acknowledgement's bytes, which must outlive it:
// version | n | stream u64 | n * (first u32, count u8, code u8) | crc32
class Ack {
 public:
  // Nothing if the bytes are not a whole acknowledgement of this version.
  static std::optional<Ack> parse(const std::uint8_t* data, std::size_t size);

  std::uint64_t stream() const;
  std::size_t ranges() const { return data_[1]; }
  AckRange range(std::size_t index) const;

 private:
  explicit Ack(const std::uint8_t* data) : data_(data) {}
  const std::uint8_t* data_;
};

}  // namespace noctis
