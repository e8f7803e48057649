// The radar on the UART, of whichever family it is.
#pragma once

#include <cstdint>

#include "noctis/health.hpp"
#include "noctis/moment.hpp"
#include "noctis/mr60bha2.hpp"
#include "noctis/r60abd1.hpp"

namespace noctis {

// Push bytes, and after each push call next() until it says false. Unless the family is
// configured, it listens for both until one has said 4 frames with nothing bad between them;
// after 10 s without a good frame of that family (the unit may have been replaced) it listens
// again. What is said while it listens is not passed on.
class Radar {
 public:
  explicit Radar(RadarFamily configured = RadarFamily::unknown)
      : family_(configured),
        listening_(configured == RadarFamily::unknown),
        fixed_(!listening_) {}

  void push(std::uint32_t now_ms, std::uint8_t byte);
  bool next(RadarReading& reading);

  // The family configured or found last.
  [[nodiscard]] RadarFamily family() const { return family_; }
  // Whether a good frame came lately: within 5 s, or 90 s from a family that may be silent for
  // a minute while nobody is there.
  [[nodiscard]] bool alive(std::uint32_t now_ms) const;
  // Of that family, since it began to listen.
  [[nodiscard]] const RadarCounts& counts() const {
    return family_ == RadarFamily::r60abd1 ? r60abd1_.parser.counts()
                                           : mr60bha2_.parser.counts();
  }

 private:
  template <typename Parser>
  struct Ear {
    Parser parser;
    std::uint32_t frames = 0;   // of the parser when the last bad byte came
    std::uint32_t skipped = 0;  // bad bytes until then
  };

  void listen();
  template <typename Parser>
  bool recognised(Ear<Parser>& ear, RadarFamily family);
  template <typename Parser>
  bool take(Parser& parser, RadarFamily family, RadarReading& reading);

  Ear<Mr60bha2Parser> mr60bha2_;
  Ear<R60abd1Parser> r60abd1_;
  RadarFamily family_;
  bool listening_;
  bool fixed_;  // configured: never listens
  std::uint32_t now_ms_ = 0;
  Moment heard_;  // a good frame of the family
};

}  // namespace noctis
