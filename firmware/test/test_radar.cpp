#include <doctest/doctest.h>

#include <vector>

#include "noctis/radar.hpp"
#include "radar_bytes.hpp"
#include "synthetic.hpp"

using namespace noctis;
using namespace noctis::test;

namespace {

Bytes seeed(double bpm) { return radar_frame(0x0A15, floats({bpm})); }
Bytes micradar(double bpm) { return r60abd1_frame(0x8502, {static_cast<std::uint8_t>(bpm)}); }

Bytes repeated(int times, const Bytes& bytes) {
  return joined(std::vector<Bytes>(static_cast<std::size_t>(times), bytes));
}

// A radar at a time that can be set.
struct Port {
  explicit Port(RadarFamily family = RadarFamily::unknown) : radar(family) {}

  void push(std::uint8_t byte) { radar.push(now_ms, byte); }
  bool next(RadarReading& reading) { return radar.next(reading); }
  std::size_t hear(const Bytes& bytes) { return feed(*this, bytes).size(); }

  Radar radar;
  std::uint32_t now_ms = 0U - 3000U;  // the clock wraps soon
};

}  // namespace

TEST_CASE("a radar is recognised by four good frames, whichever family it is") {
  Port port;
  CHECK(port.hear(repeated(3, seeed(60))) == 0);
  CHECK(port.radar.family() == RadarFamily::unknown);
  CHECK(port.hear(seeed(60)) == 0);
  CHECK(port.radar.family() == RadarFamily::mr60bha2);
  CHECK(port.hear(repeated(5, seeed(60))) == 5);

  Port other;
  CHECK(other.hear(repeated(9, micradar(60))) == 5);
  CHECK(other.radar.family() == RadarFamily::r60abd1);
  CHECK(other.radar.counts().frames == 9);
}

TEST_CASE("frames with something bad between them do not make a family") {
  Port port;
  for (int i = 0; i < 20; ++i) {
    port.hear(joined({repeated(3, micradar(60)), {0x00}}));
  }
  CHECK(port.radar.family() == RadarFamily::unknown);
  port.hear(repeated(4, micradar(60)));
  CHECK(port.radar.family() == RadarFamily::r60abd1);
}

TEST_CASE("garbage is not taken for a radar") {
  Port port;
  Garbage garbage(7);
  for (int i = 0; i < 100; ++i) {
    CHECK(port.hear(garbage.bytes(10000)) == 0);
    port.now_ms += 1000;
  }
  CHECK(port.radar.family() == RadarFamily::unknown);
  CHECK_FALSE(port.radar.alive(port.now_ms));
}

TEST_CASE("a family that was configured is heard from its first frame, and no other") {
  Port port(RadarFamily::r60abd1);
  CHECK(port.hear(micradar(60)) == 1);
  port.now_ms += 60000;
  CHECK(port.hear(repeated(20, seeed(60))) == 0);
  CHECK(port.radar.family() == RadarFamily::r60abd1);
  CHECK(port.hear(joined({Bytes(41, 0), micradar(60)})) == 1);
}

TEST_CASE("a unit replaced by one of another family is found out after a silence") {
  Port port;
  port.hear(repeated(8, seeed(60)));
  port.now_ms += 10001;
  CHECK(port.hear(repeated(8, micradar(60))) == 4);
  CHECK(port.radar.family() == RadarFamily::r60abd1);
  port.now_ms += 10001;
  CHECK(port.hear(repeated(8, seeed(60))) == 4);
  CHECK(port.radar.family() == RadarFamily::mr60bha2);
}

TEST_CASE("a unit replaced without a pause is found out by ten seconds of bad bytes") {
  Port port;
  port.hear(repeated(8, seeed(60)));
  std::size_t heard = 0;
  int seconds = 0;
  for (; heard == 0 && seconds < 60; ++seconds) {
    port.now_ms += 1000;
    heard = port.hear(repeated(2, micradar(60)));
  }
  CHECK(port.radar.family() == RadarFamily::r60abd1);
  CHECK(seconds <= 14);
}

TEST_CASE("a short silence or a few bad bytes do not make it listen again") {
  Port port;
  port.hear(repeated(8, seeed(60)));
  port.now_ms += 10000;
  CHECK(port.hear(joined({Garbage(1).bytes(20), Bytes(73, 0), seeed(60)})) == 1);
}

TEST_CASE("a radar is alive for 5 s after a frame, 90 s in the family that may pause") {
  Port seeed_port;
  seeed_port.hear(repeated(8, seeed(60)));
  CHECK(seeed_port.radar.alive(seeed_port.now_ms + 5000));
  CHECK_FALSE(seeed_port.radar.alive(seeed_port.now_ms + 5001));
  Port port;
  port.hear(repeated(8, micradar(60)));
  CHECK(port.radar.alive(port.now_ms + 90000));
  CHECK_FALSE(port.radar.alive(port.now_ms + 90001));
}

TEST_CASE("the sign of life that an idle module gives once a minute keeps it alive") {
  Port port;
  port.hear(repeated(8, micradar(60)));
  for (int minute = 0; minute < 10; ++minute) {
    port.now_ms += 60000;
    CHECK(port.radar.alive(port.now_ms));
    port.hear(r60abd1_frame(0x0101, {0x0F}));
  }
  CHECK(port.radar.family() == RadarFamily::r60abd1);
}

TEST_CASE("good frames after garbage are found, in whatever the garbage is") {
  for (std::uint32_t seed = 1; seed <= 200; ++seed) {
    Garbage garbage(seed);
    const Bytes noise = garbage.bytes(garbage.byte());
    CAPTURE(seed);
    Mr60bha2Parser seeed_parser;
    const Bytes padding(Mr60bha2Format::kMaxFrame, 0);  // a false start must run out first
    CHECK(feed(seeed_parser, joined({noise, seeed(72), padding})).size() == 1);
    R60abd1Parser micradar_parser;
    CHECK(feed(micradar_parser, joined({noise, micradar(72), padding})).size() == 1);
  }
}

TEST_CASE("random bytes that begin like frames never break a parser") {
  Garbage garbage(99);
  Mr60bha2Parser seeed_parser;
  R60abd1Parser micradar_parser;
  for (int i = 0; i < 20000; ++i) {
    const Bytes good = garbage.byte() < 128 ? seeed(60) : micradar(60);
    Bytes wrong(good.begin(), good.begin() + garbage.byte() % good.size());
    if (!wrong.empty()) {
      wrong[garbage.byte() % wrong.size()] = garbage.byte();
    }
    feed(seeed_parser, wrong);
    feed(micradar_parser, wrong);
  }
  CHECK(seeed_parser.counts().skipped_bytes > 10000);
  CHECK(micradar_parser.counts().skipped_bytes > 10000);
}

TEST_CASE("bytes cut anywhere give the same epoch") {
  Bytes bytes;
  Garbage garbage(5);
  for (int i = 0; i < 300; ++i) {
    const auto rate = 60.0 + garbage.byte() % 20;
    bytes = joined({bytes, radar_frame(0x0F09, {1}), garbage.bytes(garbage.byte() % 4),
                    seeed(rate), radar_frame(0x0A14, floats({14.0}))});
  }
  EpochBuilder whole;
  whole.begin(0);
  whole.radar(100, bytes.data(), bytes.size());
  const Epoch wanted = whole.finish(kEpochMs);
  CHECK_FALSE(is_missing(wanted, hr_mean));
  for (int split = 0; split < 50; ++split) {
    EpochBuilder builder;
    builder.begin(0);
    std::size_t at = 0;
    while (at < bytes.size()) {
      const std::size_t size = std::min<std::size_t>(garbage.byte() % 90, bytes.size() - at);
      builder.radar(100, bytes.data() + at, size);
      at += size;
    }
    CHECK(builder.finish(kEpochMs).codes == wanted.codes);
  }
}
