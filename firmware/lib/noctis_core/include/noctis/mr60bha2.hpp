// Parser of the Seeed MR60BHA2 60 GHz radar's UART frames (115200 8N1):
//
//   01 | id u16 | length u16 | type u16 | header check | data | data check
//
// The header is big-endian, the data little-endian; a check is the complement of the XOR of
// the bytes it covers (the 7 bytes before it; the data).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace noctis {

struct RadarReading {
  enum class Kind : std::uint8_t {
    presence,     // values[0]: 1 someone is there, 0 nobody
    phases,       // values: total, breath, heart, in rad
    breath_rate,  // values[0]: breaths a minute, 0 none
    heart_rate,   // values[0]: beats a minute, 0 none
    distance,     // values[0]: cm
  };
  Kind kind;
  std::array<float, 3> values;
};

// Push bytes, and after each push call next() until it says false. A frame with a bad check is
// left byte by byte, so that a good frame that began inside it is still found.
class Mr60bha2Parser {
 public:
  static constexpr std::size_t kMaxData = 64;

  void push(std::uint8_t byte);
  // Takes the next reading out of the bytes pushed so far; false if there is none.
  bool next(RadarReading& reading);

  // Frames with good checks; of these, with a value that no sensor could mean; bytes left out.
  [[nodiscard]] std::uint32_t frames() const { return frames_; }
  [[nodiscard]] std::uint32_t refused() const { return refused_; }
  [[nodiscard]] std::uint32_t skipped_bytes() const { return skipped_bytes_; }

 private:
  enum class Look : std::uint8_t { incomplete, bad, good };

  static constexpr std::size_t kHeader = 8;
  static constexpr std::size_t kCapacity = kHeader + kMaxData + 1;

  Look look();
  void drop(std::size_t count);
  [[nodiscard]] bool decode(RadarReading& reading) const;

  std::array<std::uint8_t, kCapacity> bytes_{};
  std::size_t size_ = 0;
  std::size_t needed_ = kHeader;  // look again when this many bytes are there
  std::size_t data_size_ = 0;     // of the frame at the front, once its header is good
  std::uint32_t frames_ = 0;
  std::uint32_t refused_ = 0;
  std::uint32_t skipped_bytes_ = 0;
};

}  // namespace noctis
