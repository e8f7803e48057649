#include "noctis/frame.hpp"

#include <algorithm>

#include "noctis/bytes.hpp"
#include "noctis/crc.hpp"

namespace noctis {
namespace {

constexpr std::uint8_t kMagic = 0x4E;
constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kFrameHeader = Frame::kOverhead - 4;

constexpr std::uint8_t kAckVersion = 1;
constexpr std::size_t kAckHeader = 10;
constexpr std::size_t kAckRange = 6;

}  // namespace

void Frame::begin(std::uint64_t stream, std::uint32_t first, std::uint32_t run_seq,
                  const Slot& run) {
  stream_ = stream;
  first_ = first;
  count_ = 0;
  bytes_[0] = kMagic;
  bytes_[1] = kVersion;
  bytes_[2] = 0;
  put_u64(&bytes_[4], stream);
  put_u32(&bytes_[12], first);
  put_u32(&bytes_[16], run_seq);
  std::copy(run.begin(), run.end(), &bytes_[20]);
}

bool Frame::add(const Slot& slot) {
  if (count_ == kMaxSlots) {
    return false;
  }
  std::copy(slot.begin(), slot.end(), &bytes_[kFrameHeader + kSlotSize * count_]);
  ++count_;
  return true;
}

void Frame::finish() {
  bytes_[3] = count_;
  put_u32(&bytes_[size() - 4], crc32(bytes_.data(), size() - 4));
}

std::optional<Ack> Ack::parse(const std::uint8_t* data, std::size_t size) {
  if (size < kAckHeader + 4 || data[0] != kAckVersion ||
      size != kAckHeader + kAckRange * data[1] + 4 ||
      crc32(data, size - 4) != get_u32(data + size - 4)) {
    return std::nullopt;
  }
  return Ack(data);
}

std::uint64_t Ack::stream() const { return get_u64(data_ + 2); }

AckRange Ack::range(std::size_t index) const {
  const std::uint8_t* range = data_ + kAckHeader + kAckRange * index;
  return {get_u32(range), range[4], range[5]};
}

}  // namespace noctis
