#include <doctest/doctest.h>

#include <utility>
#include <vector>

#include "noctis/mr60bha2.hpp"
#include "radar_bytes.hpp"
#include "synthetic.hpp"

using namespace noctis;
using test::Bytes;
using test::feed;
using test::joined;

namespace {

using Kind = RadarReading::Kind;

//                       start  id          length      type        check  data          check
const Bytes kHeart72_5 = {0x01, 0x00, 0x01, 0x00, 0x04, 0x0A, 0x15, 0xE4,  //
                          0x00, 0x00, 0x91, 0x42, 0x2C};
const Bytes kHeartNone = {0x01, 0x00, 0x02, 0x00, 0x04, 0x0A, 0x15, 0xE7,  //
                          0x00, 0x00, 0x00, 0x00, 0xFF};
const Bytes kHeartNan = {0x01, 0x00, 0x03, 0x00, 0x04, 0x0A, 0x15, 0xE6,  //
                         0x00, 0x00, 0xC0, 0x7F, 0x40};
const Bytes kHeartInfinite = {0x01, 0x00, 0x03, 0x00, 0x04, 0x0A, 0x15, 0xE6,  //
                              0x00, 0x00, 0x80, 0x7F, 0x00};
const Bytes kHeart900 = {0x01, 0x00, 0x03, 0x00, 0x04, 0x0A, 0x15, 0xE6,  //
                         0x00, 0x00, 0x61, 0x44, 0xDA};
const Bytes kBreath14 = {0x01, 0x00, 0x04, 0x00, 0x04, 0x0A, 0x14, 0xE0,  //
                         0x00, 0x00, 0x60, 0x41, 0xDE};
const Bytes kPresent = {0x01, 0x00, 0x05, 0x00, 0x01, 0x0F, 0x09, 0xFC, 0x01, 0xFE};
const Bytes kPhases = {0x01, 0x00, 0x06, 0x00, 0x0C, 0x0A, 0x13, 0xED,  // 1.5, -0.25, 0.125
                       0x00, 0x00, 0xC0, 0x3F, 0x00, 0x00, 0x80, 0xBE,  //
                       0x00, 0x00, 0x00, 0x3E, 0x00};
const Bytes kPhasesNan = {0x01, 0x00, 0x06, 0x00, 0x0C, 0x0A, 0x13, 0xED,  // the breath is NaN
                          0x00, 0x00, 0xC0, 0x3F, 0x00, 0x00, 0xC0, 0x7F,  //
                          0x00, 0x00, 0x00, 0x3E, 0x81};
const Bytes kDistance80 = {0x01, 0x00, 0x07, 0x00, 0x08, 0x0A, 0x16, 0xED,  // flag 1, 80 cm
                           0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0xA0, 0x42, 0x1C};
const Bytes kOneTarget = {0x01, 0x00, 0x08, 0x00, 0x14, 0x0A, 0x04, 0xEC,  // not of use here
                          0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,  //
                          0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,  //
                          0x00, 0x00, 0x00, 0x00, 0xFE};
const Bytes kEmptyUnknown = {0x01, 0x00, 0x09, 0x00, 0x00, 0x0A, 0x99, 0x64, 0xFF};
const Bytes kHeaderOf64 = {0x01, 0x00, 0x0A, 0x00, 0x40, 0x0A, 0x04, 0xBA};
const Bytes kHeaderOf65 = {0x01, 0x00, 0x0A, 0x00, 0x41, 0x0A, 0x04, 0xBB};

std::vector<RadarReading> parse(const Bytes& bytes) {
  Mr60bha2Parser parser;
  return feed(parser, bytes);
}

bool is_heart_72_5(const std::vector<RadarReading>& readings) {
  return readings.size() == 1 && readings[0].kind == Kind::heart_rate &&
         readings[0].values[0] == 72.5F;
}

}  // namespace

TEST_CASE("each type of frame is read") {
  CHECK(is_heart_72_5(parse(kHeart72_5)));
  const auto readings = parse(joined({kHeartNone, kBreath14, kPresent, kPhases, kDistance80}));
  REQUIRE(readings.size() == 5);
  CHECK(readings[0].kind == Kind::heart_rate);
  CHECK(readings[0].values[0] == 0.0F);
  CHECK(readings[1].kind == Kind::breath_rate);
  CHECK(readings[1].values[0] == 14.0F);
  CHECK(readings[2].kind == Kind::presence);
  CHECK(readings[2].values[0] == 1.0F);
  CHECK(readings[3].kind == Kind::phases);
  CHECK(readings[3].values == std::array<float, 5>{1.5F, -0.25F, 0.125F});
  CHECK(readings[4].kind == Kind::distance);
  CHECK(readings[4].values[0] == 80.0F);
}

TEST_CASE("a frame is not there before its last byte") {
  Mr60bha2Parser parser;
  const Bytes all_but_last(kHeart72_5.begin(), kHeart72_5.end() - 1);
  CHECK(feed(parser, all_but_last).empty());
  CHECK(is_heart_72_5(feed(parser, {kHeart72_5.back()})));
}

TEST_CASE("frames of other types are passed over") {
  Mr60bha2Parser parser;
  CHECK(is_heart_72_5(feed(parser, joined({kOneTarget, kEmptyUnknown, kHeart72_5}))));
  CHECK(parser.counts().frames == 3);
  CHECK(parser.counts().refused == 0);
  CHECK(parser.counts().skipped_bytes == 0);
}

TEST_CASE("a frame with any one byte wrong is refused and the next one is read") {
  for (std::size_t at = 0; at < kHeart72_5.size(); ++at) {
    for (const unsigned flip : {0x01U, 0x10U, 0x80U, 0xFFU}) {
      Bytes wrong = kHeart72_5;
      wrong[at] = static_cast<std::uint8_t>(wrong[at] ^ flip);
      CAPTURE(at);
      CAPTURE(flip);
      CHECK(is_heart_72_5(parse(joined({wrong, kHeart72_5}))));
    }
  }
}

TEST_CASE("a frame torn anywhere does not take the next one with it") {
  for (std::size_t kept = 0; kept < kPhases.size(); ++kept) {
    const Bytes torn(kPhases.begin(), kPhases.begin() + static_cast<std::ptrdiff_t>(kept));
    CAPTURE(kept);
    // The bytes that the torn frame still waits for come from the frames after it.
    const auto readings = parse(joined({torn, kHeart72_5, kHeart72_5, kHeart72_5}));
    CHECK(readings.size() == 3);
  }
}

TEST_CASE("a false start that promises the longest frame loses none of those inside it") {
  Mr60bha2Parser parser;
  const Bytes stream = joined(
      {kHeaderOf64, kHeart72_5, kHeart72_5, kHeart72_5, kHeart72_5, kHeart72_5, kHeart72_5});
  CHECK(feed(parser, stream).size() == 6);
  CHECK(parser.counts().skipped_bytes == kHeaderOf64.size());
}

TEST_CASE("a header that promises more than 64 bytes is not waited for") {
  Mr60bha2Parser parser;
  CHECK(is_heart_72_5(feed(parser, joined({kHeaderOf65, kHeart72_5}))));
  CHECK(parser.counts().skipped_bytes == kHeaderOf65.size());
}

TEST_CASE("garbage between frames is passed over") {
  const Bytes garbage = test::Garbage(12345).bytes(5000);
  for (std::size_t start = 0; start + 40 < garbage.size(); start += 37) {
    const auto from = garbage.begin() + static_cast<std::ptrdiff_t>(start);
    // 73 bytes of padding: a false start at the garbage's end must run out first.
    const Bytes noise(from, from + static_cast<std::ptrdiff_t>(start % 40));
    CHECK(is_heart_72_5(parse(joined({noise, kHeart72_5, Bytes(73, 0x00)}))));
  }
}

TEST_CASE("numbers that no sensor could mean are refused") {
  for (const Bytes& frame : {kHeartNan, kHeartInfinite, kHeart900, kPhasesNan}) {
    Mr60bha2Parser parser;
    CHECK(is_heart_72_5(feed(parser, joined({frame, kHeart72_5}))));
    CHECK(parser.counts().refused == 1);
    CHECK(parser.counts().skipped_bytes == 0);
  }
}

TEST_CASE("a frame of a known type that is too short is refused") {
  // Heart rate with a single byte of data.
  const Bytes stub = {0x01, 0x00, 0x01, 0x00, 0x01, 0x0A, 0x15, 0xE1, 0x42, 0xBD};
  Mr60bha2Parser parser;
  CHECK(is_heart_72_5(feed(parser, joined({stub, kHeart72_5}))));
  CHECK(parser.counts().frames == 2);
  CHECK(parser.counts().refused == 1);
}

TEST_CASE("a caller who never asks for readings does not overrun the parser") {
  Mr60bha2Parser parser;
  for (int i = 0; i < 1000; ++i) {
    parser.push(0x01);
  }
  RadarReading reading{};
  CHECK_FALSE(parser.next(reading));
}

TEST_CASE("every known type is refused if it is a byte short") {
  const std::vector<std::pair<std::uint16_t, std::size_t>> sizes = {
      {0x0A13, 12}, {0x0A14, 4}, {0x0A15, 4}, {0x0A16, 8}, {0x0F09, 1}};
  for (const auto& one : sizes) {
    const std::uint16_t type = one.first;
    const std::size_t size = one.second;
    CAPTURE(type);
    Mr60bha2Parser parser;
    CHECK(feed(parser, test::radar_frame(type, Bytes(size - 1, 0))).empty());
    CHECK(parser.counts().refused == 1);
    CHECK(feed(parser, test::radar_frame(type, Bytes(size, 0))).size() == 1);
    // A later version of the radar's firmware may append to what it says.
    CHECK(feed(parser, test::radar_frame(type, Bytes(size + 1, 0))).size() == 1);
  }
}

TEST_CASE("a rate is none, or within what a body does") {
  const auto accepted = [](std::uint16_t type, double rate) {
    return parse(test::radar_frame(type, test::floats({rate}))).size() == 1;
  };
  for (const double rate : {0.0, 20.0, 250.0}) {
    CHECK(accepted(0x0A15, rate));
  }
  for (const double rate : {-60.0, 0.5, 19.9, 250.1}) {
    CHECK_FALSE(accepted(0x0A15, rate));
  }
  for (const double rate : {0.0, 2.0, 60.0}) {
    CHECK(accepted(0x0A14, rate));
  }
  for (const double rate : {-14.0, 1.9, 60.1}) {
    CHECK_FALSE(accepted(0x0A14, rate));
  }
}

TEST_CASE("a presence other than yes or no is refused") {
  CHECK(parse(test::radar_frame(0x0F09, {0})).size() == 1);
  CHECK(parse(test::radar_frame(0x0F09, {2})).empty());
}
