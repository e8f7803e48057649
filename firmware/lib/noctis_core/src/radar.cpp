#include "noctis/radar.hpp"

namespace noctis {
namespace {

constexpr std::uint32_t kGoodFrames = 4;
constexpr std::uint32_t kLostMs = 10000;
constexpr std::uint32_t kPauseMs = 5000;
constexpr std::uint32_t kLongPauseMs = 90000;

}  // namespace

void Radar::push(std::uint32_t now_ms, std::uint8_t byte) {
  now_ms_ = now_ms;
  if (!listening_ && !fixed_ && !heard_.within(now_ms, kLostMs)) {
    listen();
  }
  if (listening_ || family_ == RadarFamily::mr60bha2) {
    mr60bha2_.parser.push(byte);
  }
  if (listening_ || family_ == RadarFamily::r60abd1) {
    r60abd1_.parser.push(byte);
  }
}

bool Radar::next(RadarReading& reading) {
  if (listening_) {
    listening_ = !recognised(mr60bha2_, RadarFamily::mr60bha2) &&
                 !recognised(r60abd1_, RadarFamily::r60abd1);
    return false;
  }
  return family_ == RadarFamily::mr60bha2 ? take(mr60bha2_.parser, family_, reading)
                                          : take(r60abd1_.parser, family_, reading);
}

bool Radar::alive(std::uint32_t now_ms) const {
  const bool may_pause = family_ == RadarFamily::r60abd1;
  return heard_.within(now_ms, may_pause ? kLongPauseMs : kPauseMs);
}

void Radar::listen() {
  listening_ = true;
  mr60bha2_ = {};
  r60abd1_ = {};
}

template <typename Parser>
bool Radar::recognised(Ear<Parser>& ear, RadarFamily family) {
  RadarReading early{};
  while (take(ear.parser, family, early)) {
  }
  const RadarCounts& counts = ear.parser.counts();
  if (counts.skipped_bytes != ear.skipped) {
    ear.skipped = counts.skipped_bytes;
    ear.frames = counts.frames;
  }
  if (counts.frames - ear.frames < kGoodFrames) {
    return false;
  }
  family_ = family;
  heard_.mark(now_ms_);
  return true;
}

template <typename Parser>
bool Radar::take(Parser& parser, RadarFamily family, RadarReading& reading) {
  const std::uint32_t before = parser.counts().frames;
  const bool found = parser.next(reading);
  if (family == family_ && parser.counts().frames != before) {
    heard_.mark(now_ms_);
  }
  return found;
}

}  // namespace noctis
