// What radars say, and how their frames are found in the bytes of a UART.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace noctis {

struct RadarReading {
  enum class Kind : std::uint8_t {
    presence,     // values[0]: 1 someone is there, 0 nobody
    movement,     // values[0]: 0 nobody, 1 someone who only breathes, up to 100 moves
    phases,       // values: total, breath, heart, in rad
    breath_wave,  // values: the chest over the last second, every 200 ms, oldest first, in rad
    breath_rate,  // values[0]: breaths a minute, 0 none
    heart_rate,   // values[0]: beats a minute, 0 none
    distance,     // values[0]: cm
  };
  Kind kind;
  std::array<float, 5> values;
};

// What a radar may say before its frame is refused as absurd; false for NaN.
inline bool is_heart_rate(float bpm) { return bpm == 0.0F || (bpm >= 20.0F && bpm <= 250.0F); }
inline bool is_breath_rate(float rate) {
  return rate == 0.0F || (rate >= 2.0F && rate <= 60.0F);
}
inline bool is_distance(float cm) { return cm >= 0.0F && cm <= 1000.0F; }

// What the bytes at the front of a buffer are: the start of no frame; the start of a frame that
// is worth another look at `size` bytes; an intact frame of `size` bytes.
struct FrameLook {
  enum class Kind : std::uint8_t { bad, incomplete, intact };
  Kind kind;
  std::size_t size;
};

// What an intact frame says: something of use; something else; or nothing that a sensor could
// mean.
enum class FrameSense : std::uint8_t { reading, other, absurd };

struct RadarCounts {
  std::uint32_t frames = 0;         // intact ones
  std::uint32_t refused = 0;        // of these, absurd ones
  std::uint32_t skipped_bytes = 0;  // in no intact frame
};

// Push bytes, and after each push call next() until it says false. A bad frame is left byte by
// byte, so that a good one that began inside it is still found. A Format knows its frames:
//
//   static constexpr std::size_t kMaxFrame;
//   static FrameLook look(const std::uint8_t* bytes, std::size_t size);  // size > 0
//   static FrameSense read(const std::uint8_t* frame, std::size_t size, RadarReading& reading);
template <typename Format>
class RadarParser {
 public:
  void push(std::uint8_t byte) {
    if (size_ == bytes_.size()) {
      drop(1);  // the caller did not ask next() until it said false
    }
    bytes_[size_++] = byte;
  }

  // Takes the next reading out of the bytes pushed so far; false if there is none.
  bool next(RadarReading& reading) {
    while (size_ > 0 && size_ >= needed_) {
      const FrameLook found = Format::look(bytes_.data(), size_);
      if (found.kind == FrameLook::Kind::incomplete) {
        needed_ = found.size;
        return false;
      }
      if (found.kind == FrameLook::Kind::bad) {
        ++counts_.skipped_bytes;
        drop(1);
        continue;
      }
      ++counts_.frames;
      reading.values = {};
      const FrameSense sense = Format::read(bytes_.data(), found.size, reading);
      drop(found.size);
      if (sense == FrameSense::reading) {
        return true;
      }
      counts_.refused += sense == FrameSense::absurd ? 1 : 0;
    }
    return false;
  }

  [[nodiscard]] const RadarCounts& counts() const { return counts_; }

 private:
  void drop(std::size_t count) {
    std::memmove(bytes_.data(), bytes_.data() + count, size_ - count);
    size_ -= count;
    needed_ = 1;
  }

  std::array<std::uint8_t, Format::kMaxFrame> bytes_{};
  std::size_t size_ = 0;
  std::size_t needed_ = 1;  // look again when this many bytes are there
  RadarCounts counts_;
};

}  // namespace noctis
