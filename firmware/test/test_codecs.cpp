#include <algorithm>

#include "noctis/crc.hpp"
#include "noctis/frame.hpp"
#include "noctis/slot.hpp"
#include "vectors.hpp"

using namespace noctis;
using namespace noctis::test;

namespace {

Epoch epoch_of(const cJSON* codes, bool in_bed) {
  Epoch epoch{};
  for (int i = 0; i < static_cast<int>(kFeatureCount); ++i) {
    epoch.codes[static_cast<std::size_t>(i)] =
        static_cast<std::uint16_t>(cJSON_GetArrayItem(codes, i)->valueint);
  }
  epoch.in_bed = in_bed;
  return epoch;
}

Run run_of(const cJSON* run) {
  return {static_cast<RunReason>(number(run, "reason")), number<std::uint8_t>(run, "voids"),
          number(run, "boot"), number(run, "tick_s"), number(run, "utc_s")};
}

Slot slot_of(const std::vector<std::uint8_t>& bytes) {
  REQUIRE(bytes.size() == kSlotSize);
  Slot slot{};
  std::copy(bytes.begin(), bytes.end(), slot.begin());
  return slot;
}

}  // namespace

TEST_CASE("a blank slot and a zeroed slot never have a valid checksum") {
  Slot slot{};
  CHECK_FALSE(intact(slot));
  slot.fill(0xFF);
  CHECK_FALSE(intact(slot));
}

TEST_CASE("crc32 is zlib's") {
  const std::string digits = "123456789";
  CHECK(crc32(reinterpret_cast<const std::uint8_t*>(digits.data()), digits.size()) ==
        0xCBF43926U);
}

TEST_CASE("every golden slot encodes to its bytes and decodes to its values") {
  const Json slots = load_vectors("slots.json");
  const cJSON* item = nullptr;
  cJSON_ArrayForEach(item, slots.get()) {
    const Slot golden = slot_of(unhex(text(item, "hex")));
    CHECK(intact(golden));
    if (text(item, "kind") == "run") {
      const Run run = run_of(item);
      CHECK(encode_slot(run) == golden);
      CHECK(is_run(golden));
      CHECK(encode_slot(decode_run(golden)) == golden);
      CHECK(decode_run(golden).utc_s == run.utc_s);
    } else {
      const bool in_bed = cJSON_IsTrue(cJSON_GetObjectItem(item, "in_bed")) != 0;
      const Epoch epoch = epoch_of(cJSON_GetObjectItem(item, "codes"), in_bed);
      CHECK(encode_slot(epoch) == golden);
      CHECK_FALSE(is_run(golden));
      CHECK(decode_epoch(golden).codes == epoch.codes);
      CHECK(decode_epoch(golden).in_bed == in_bed);
    }
  }
}

TEST_CASE("a slot with any one bit flipped is not intact") {
  Slot slot = encode_slot(Run{RunReason::grid, 3, 77, 123456, 1700000000});
  for (std::size_t bit = 0; bit < 8 * kSlotSize; ++bit) {
    const auto mask = static_cast<std::uint8_t>(1U << (bit % 8));
    slot[bit / 8] ^= mask;
    CHECK_FALSE(intact(slot));
    slot[bit / 8] ^= mask;
  }
}

TEST_CASE("every golden frame is built to its bytes") {
  const Json frames = load_vectors("frames.json");
  const cJSON* item = nullptr;
  cJSON_ArrayForEach(item, frames.get()) {
    Frame frame;
    frame.begin(hex64(item, "stream"), number(item, "first"), number(item, "run_seq"),
                encode_slot(run_of(cJSON_GetObjectItem(item, "run"))));
    const cJSON* codes = cJSON_GetObjectItem(item, "codes");
    const cJSON* in_bed = cJSON_GetObjectItem(item, "in_bed");
    for (int i = 0; i < cJSON_GetArraySize(codes); ++i) {
      CHECK(frame.add(encode_slot(epoch_of(cJSON_GetArrayItem(codes, i),
                                           cJSON_IsTrue(cJSON_GetArrayItem(in_bed, i)) != 0))));
    }
    frame.finish();
    CHECK(hex(frame.data(), frame.size()) == text(item, "hex"));
  }
}

TEST_CASE("a frame takes 64 slots and no more") {
  Frame frame;
  frame.begin(1, 2, 1, Slot{});
  for (std::size_t i = 0; i < Frame::kMaxSlots; ++i) {
    CHECK(frame.add(Slot{}));
  }
  CHECK_FALSE(frame.add(Slot{}));
  CHECK(frame.last() == 65);
  CHECK(frame.size() == Frame::kMaxSize);
}

TEST_CASE("every golden acknowledgement is understood") {
  const Json acks = load_vectors("acks.json");
  const cJSON* item = nullptr;
  cJSON_ArrayForEach(item, acks.get()) {
    const auto bytes = unhex(text(item, "hex"));
    const auto ack = Ack::parse(bytes.data(), bytes.size());
    REQUIRE(ack);
    CHECK(ack->stream() == hex64(item, "stream"));
    const cJSON* ranges = cJSON_GetObjectItem(item, "ranges");
    REQUIRE(ack->ranges() == static_cast<std::size_t>(cJSON_GetArraySize(ranges)));
    for (int i = 0; i < cJSON_GetArraySize(ranges); ++i) {
      const cJSON* golden = cJSON_GetArrayItem(ranges, i);
      const AckRange range = ack->range(static_cast<std::size_t>(i));
      CHECK(range.first ==
            static_cast<std::uint32_t>(cJSON_GetArrayItem(golden, 0)->valuedouble));
      CHECK(range.count == cJSON_GetArrayItem(golden, 1)->valueint);
      CHECK(range.code == cJSON_GetArrayItem(golden, 2)->valueint);
    }
  }
}

TEST_CASE("an acknowledgement that is cut, longer, changed or of another version is ignored") {
  const Json acks = load_vectors("acks.json");
  auto bytes = unhex(text(cJSON_GetArrayItem(acks.get(), 2), "hex"));
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CHECK_FALSE(Ack::parse(bytes.data(), size));
  }
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] ^= 0x10;
    CHECK_FALSE(Ack::parse(bytes.data(), bytes.size()));
    bytes[i] ^= 0x10;
  }
  CHECK(Ack::parse(bytes.data(), bytes.size()));
  bytes.push_back(0);
  CHECK_FALSE(Ack::parse(bytes.data(), bytes.size()));
}
