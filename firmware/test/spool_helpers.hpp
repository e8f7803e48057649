// What the tests of the spool and of the courier share.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <vector>

#include "noctis/bytes.hpp"
#include "noctis/crc.hpp"
#include "noctis/spool.hpp"

namespace noctis::test {

// A number from the environment.
inline long number_from(const char* name, long otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : std::atol(value);
}

inline Epoch random_epoch(std::mt19937_64& random) {
  Epoch epoch{};
  for (std::size_t i = 0; i < kFeatureCount; ++i) {
    epoch.codes[i] = static_cast<std::uint16_t>(random() % (1U << kFeatures[i].bits));
  }
  epoch.in_bed = random() % 2 == 0;
  return epoch;
}

// A frame as the platform reads it.
struct ReadFrame {
  std::uint64_t stream;
  std::uint32_t first;
  std::uint32_t run_seq;
  Run run;
  std::vector<Slot> slots;

  std::uint32_t tick_s(std::size_t index) const {
    return run.tick_s + 30 * (first + static_cast<std::uint32_t>(index) - run_seq - 1);
  }
};

inline ReadFrame read_frame(const std::uint8_t* data, std::size_t size) {
  REQUIRE(size >= Frame::kOverhead + kSlotSize);
  REQUIRE(get_u32(data + size - 4) == crc32(data, size - 4));
  REQUIRE(size == Frame::kOverhead + kSlotSize * data[3]);
  ReadFrame frame{get_u64(data + 4), get_u32(data + 12), get_u32(data + 16), {}, {}};
  Slot slot{};
  std::copy_n(data + 20, kSlotSize, slot.begin());
  REQUIRE(intact(slot));
  REQUIRE(is_run(slot));
  frame.run = decode_run(slot);
  for (std::size_t i = 0; i < data[3]; ++i) {
    std::copy_n(data + 34 + kSlotSize * i, kSlotSize, slot.begin());
    REQUIRE(intact(slot));
    REQUIRE_FALSE(is_run(slot));
    frame.slots.push_back(slot);
  }
  REQUIRE(frame.first > frame.run_seq);
  return frame;
}

// All that is not done, as the frames of one sweep.
inline std::vector<ReadFrame> sweep(Spool& spool) {
  std::vector<ReadFrame> frames;
  Frame frame;
  std::uint32_t from = 0;
  while (spool.next_backlog(from, spool.next_seq(), frame)) {
    frames.push_back(read_frame(frame.data(), frame.size()));
    from = frame.last() + 1;
  }
  return frames;
}

}  // namespace noctis::test
