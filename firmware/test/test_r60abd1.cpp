#include <doctest/doctest.h>

#include <utility>
#include <vector>

#include "noctis/r60abd1.hpp"
#include "radar_bytes.hpp"

using namespace noctis;
using namespace noctis::test;

namespace {

using Kind = RadarReading::Kind;

//                       start       kind        length      data  sum   end
const Bytes kHeart89 = {0x53, 0x59, 0x85, 0x02, 0x00, 0x01, 0x59, 0x8D, 0x54, 0x43};
const Bytes kStill = {0x53, 0x59, 0x80, 0x03, 0x00, 0x01, 0x01, 0x31, 0x54, 0x43};
const Bytes k107Cm = {0x53, 0x59, 0x80, 0x04, 0x00, 0x02, 0x00, 0x6B, 0x9D, 0x54, 0x43};
const Bytes kAlive = {0x53, 0x59, 0x01, 0x01, 0x00, 0x01, 0x0F, 0xBE, 0x54, 0x43};
const Bytes kHeartWave = {0x53, 0x59, 0x85, 0x05, 0x00, 0x05, 0x81,
                          0x82, 0x89, 0x86, 0x80, 0xCD, 0x54, 0x43};
const Bytes kBreathWave = {0x53, 0x59, 0x81, 0x05, 0x00, 0x05, 0x00,  // 0, 127, 128, 129, 255
                           0x7F, 0x80, 0x81, 0xFF, 0xB6, 0x54, 0x43};

std::vector<RadarReading> parse(const Bytes& bytes) {
  R60abd1Parser parser;
  return feed(parser, bytes);
}

bool is_heart_89(const std::vector<RadarReading>& readings) {
  return readings.size() == 1 && readings[0].kind == Kind::heart_rate &&
         readings[0].values[0] == 89.0F;
}

bool says(std::uint16_t kind, const Bytes& data, Kind wanted, float value) {
  const auto readings = parse(r60abd1_frame(kind, data));
  return readings.size() == 1 && readings[0].kind == wanted && readings[0].values[0] == value;
}

bool refuses(std::uint16_t kind, const Bytes& data) {
  R60abd1Parser parser;
  return feed(parser, r60abd1_frame(kind, data)).empty() && parser.counts().refused == 1;
}

}  // namespace

TEST_CASE("each kind of frame of the 53 59 family is read") {
  CHECK(is_heart_89(parse(kHeart89)));
  CHECK(says(0x8001, {1}, Kind::presence, 1.0F));
  CHECK(says(0x8001, {0}, Kind::presence, 0.0F));
  CHECK(says(0x8003, {100}, Kind::movement, 100.0F));
  CHECK(says(0x8102, {14}, Kind::breath_rate, 14.0F));
  CHECK(says(0x8502, {0}, Kind::heart_rate, 0.0F));
  CHECK(says(0x8004, {0x01, 0x02}, Kind::distance, 258.0F));
  CHECK(r60abd1_frame(0x8003, {1}) == kStill);
  CHECK(r60abd1_frame(0x8004, {0x00, 0x6B}) == k107Cm);
}

TEST_CASE("a breath wave is five samples, a thousandth of a radian a count around 128") {
  const auto readings = parse(kBreathWave);
  REQUIRE(readings.size() == 1);
  CHECK(readings[0].kind == Kind::breath_wave);
  const float wanted[] = {-0.128F, -0.001F, 0.0F, 0.001F, 0.127F};
  for (std::size_t i = 0; i < 5; ++i) {
    CHECK(readings[0].values[i] == doctest::Approx(wanted[i]));
  }
}

TEST_CASE("signs of life and heart waves of the 53 59 family are passed over") {
  R60abd1Parser parser;
  CHECK(is_heart_89(feed(parser, joined({kAlive, kHeartWave, kHeart89}))));
  CHECK(parser.counts().frames == 3);
  CHECK(parser.counts().refused == 0);
  CHECK(parser.counts().skipped_bytes == 0);
}

TEST_CASE("a 53 59 frame with any one byte wrong is not believed, and the next one is read") {
  for (std::size_t at = 0; at < kHeart89.size(); ++at) {
    for (const unsigned flip : {0x01U, 0x10U, 0x80U, 0xFFU}) {
      Bytes wrong = kHeart89;
      wrong[at] = static_cast<std::uint8_t>(wrong[at] ^ flip);
      CAPTURE(at);
      CAPTURE(flip);
      // A length that lies waits for bytes: they come from the frames after it.
      const auto readings = parse(joined({wrong, kHeart89, kAlive, kAlive, kAlive, kAlive}));
      CHECK(is_heart_89(readings));
    }
  }
}

TEST_CASE("a 53 59 frame torn anywhere does not take the next ones with it") {
  for (std::size_t kept = 0; kept < kBreathWave.size(); ++kept) {
    const Bytes torn(kBreathWave.begin(),
                     kBreathWave.begin() + static_cast<std::ptrdiff_t>(kept));
    CAPTURE(kept);
    CHECK(parse(joined({torn, kHeart89, kHeart89, kHeart89})).size() == 3);
  }
}

TEST_CASE("a lying length of the 53 59 family loses none of the frames inside it") {
  for (unsigned length = 0; length <= 0xFF; ++length) {
    R60abd1Parser parser;
    const Bytes lie = {0x53, 0x59, 0x81, 0x05, 0x00, static_cast<std::uint8_t>(length)};
    CAPTURE(length);
    CHECK(feed(parser, joined({lie, kHeart89, kHeart89, kHeart89, kHeart89})).size() == 4);
    CHECK(parser.counts().skipped_bytes == lie.size());
  }
  CHECK(is_heart_89(parse(joined({{0x53, 0x59, 0x81, 0x05, 0x01, 0x00}, kHeart89}))));
}

TEST_CASE("a 53 59 frame that promises more than 32 bytes is not waited for") {
  const Bytes full = r60abd1_frame(0x8102, Bytes(32, 14));
  CHECK(parse(full).size() == 1);
  const Bytes over = {0x53, 0x59, 0x81, 0x02, 0x00, 33};
  CHECK(is_heart_89(parse(joined({over, kHeart89}))));
}

TEST_CASE("the 53 59 family is not believed when it says what no sensor could mean") {
  CHECK(refuses(0x8001, {2}));
  CHECK(refuses(0x8003, {101}));
  CHECK(refuses(0x8102, {1}));
  CHECK(refuses(0x8102, {61}));
  CHECK(refuses(0x8502, {19}));
  CHECK(refuses(0x8502, {251}));
  CHECK(refuses(0x8004, {0x03, 0xE9}));
  CHECK(says(0x8004, {0x03, 0xE8}, Kind::distance, 1000.0F));
}

TEST_CASE("every known kind of the 53 59 family is refused if it is a byte short") {
  const std::vector<std::pair<std::uint16_t, std::size_t>> sizes = {
      {0x8001, 1}, {0x8003, 1}, {0x8102, 1}, {0x8502, 1}, {0x8004, 2}, {0x8105, 5}};
  for (const auto& one : sizes) {
    const std::uint16_t kind = one.first;
    const std::size_t size = one.second;
    CAPTURE(kind);
    CHECK(refuses(kind, Bytes(size - 1, 0)));
    CHECK(parse(r60abd1_frame(kind, Bytes(size, 0))).size() == 1);
    CHECK(parse(r60abd1_frame(kind, Bytes(size + 1, 0))).size() == 1);
  }
}
