// The rows of the golden tables.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "noctis/frame.hpp"
#include "noctis/quantise.hpp"
#include "noctis/time_exchange.hpp"

namespace noctis::target {

inline constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();

struct SlotVector {
  bool is_run;
  Epoch epoch;
  Run run;
  Slot slot;
};

struct FrameVector {
  std::uint64_t stream;
  std::uint32_t first;
  std::uint32_t run_seq;
  Run run;
  std::size_t count;
  std::array<Epoch, Frame::kMaxSlots> epochs;
  std::size_t size;
  std::array<std::uint8_t, Frame::kMaxSize> bytes;
};

struct AckVector {
  std::uint64_t stream;
  std::size_t count;
  std::array<AckRange, 255> ranges;
  std::size_t size;
  std::array<std::uint8_t, 14 + 6 * 255> bytes;
};

struct FeatureVector {
  Feature feature;
  double value;
  std::uint16_t code;
};

struct TimeVector {
  std::uint64_t sent;
  std::uint64_t utc_ms;
  std::array<std::uint8_t, kTimeRequestSize> request;
  std::array<std::uint8_t, kTimeReplySize> reply;
};

struct ShardVector {
  const char* name;  // tenant/device
  std::uint32_t shard;
};

}  // namespace noctis::target
