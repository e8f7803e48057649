// The golden bytes shared with Python and with the host's tests.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "checks.hpp"
#include "golden.hpp"
#include "noctis/crc.hpp"

namespace noctis::target {
namespace {

const std::uint8_t* octets(const char* text) {
  return reinterpret_cast<const std::uint8_t*>(text);
}

void check_checksums() {
  expect(crc32(octets("123456789"), 9) == 0xCBF43926U, "crc32 is zlib's");
  std::uint32_t number = 0;
  for (const ShardVector& golden : kShardVectors) {
    const std::uint32_t shard = crc32(octets(golden.name), std::strlen(golden.name)) % 64;
    expect(shard == golden.shard, "shards.json", number++);
  }
}

bool good(const SlotVector& golden) {
  if (!intact(golden.slot) || is_run(golden.slot) != golden.is_run) {
    return false;
  }
  if (golden.is_run) {
    const Run run = decode_run(golden.slot);
    return encode_slot(golden.run) == golden.slot && encode_slot(run) == golden.slot &&
           run.utc_s == golden.run.utc_s;
  }
  const Epoch epoch = decode_epoch(golden.slot);
  return encode_slot(golden.epoch) == golden.slot && epoch.codes == golden.epoch.codes &&
         epoch.in_bed == golden.epoch.in_bed;
}

bool good(const FrameVector& golden) {
  static Frame frame;
  frame.begin(golden.stream, golden.first, golden.run_seq, encode_slot(golden.run));
  for (std::size_t i = 0; i < golden.count; ++i) {
    if (!frame.add(encode_slot(golden.epochs[i]))) {
      return false;
    }
  }
  frame.finish();
  return frame.size() == golden.size &&
         std::equal(frame.data(), frame.data() + frame.size(), golden.bytes.begin());
}

bool good(const AckVector& golden) {
  const auto ack = Ack::parse(golden.bytes.data(), golden.size);
  if (!ack || ack->stream() != golden.stream || ack->ranges() != golden.count) {
    return false;
  }
  for (std::size_t i = 0; i < golden.count; ++i) {
    const AckRange range = ack->range(i);
    const AckRange& expected = golden.ranges[i];
    if (range.first != expected.first || range.count != expected.count ||
        range.code != expected.code) {
      return false;
    }
  }
  return true;
}

bool good(const FeatureVector& golden) {
  return quantise(golden.feature, golden.value) == golden.code;
}

bool good(const TimeVector& golden) {
  const auto reply = parse_time_reply(golden.reply.data(), golden.reply.size());
  return encode_time_request(golden.sent) == golden.request && reply &&
         reply->sent == golden.sent && reply->utc_ms == golden.utc_ms;
}

template <typename Vector, std::size_t N>
void check(const Vector (&vectors)[N], const char* name) {
  std::uint32_t number = 0;
  for (const Vector& golden : vectors) {
    expect(good(golden), name, number++);
  }
}

void check_every_code() {
  for (std::size_t i = 0; i < kFeatureCount; ++i) {
    const auto feature = static_cast<Feature>(i);
    for (std::uint16_t code = 0; code < missing_code(feature); ++code) {
      expect(quantise(feature, dequantise(feature, code)) == code, kFeatures[i].name, code);
    }
  }
}

}  // namespace

void check_codecs() {
  check_checksums();
  check(kSlotVectors, "slots.json");
  check(kFrameVectors, "frames.json");
  check(kAckVectors, "acks.json");
  check(kFeatureVectors, "features.json");
  check(kTimeVectors, "times.json");
  check_every_code();
}

}  // namespace noctis::target
