// A night of anything: bytes on the radar's UART, frames with good checks around any data,
// accelerations, pauses, ends of epochs. An input is a row of steps `kind u8 | size u8 | data`.
#include "noctis/epoch_builder.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

#include "expect.hpp"
#include "noctis/quantise.hpp"

namespace {

using namespace noctis;
using fuzz::expect;

constexpr std::size_t kMostEpochs = 12;  // an input, so that it stays fast
constexpr std::uint32_t kPauseUnitMs = 97;

enum class Step : std::uint8_t { bytes, seeed, micradar, floats, shake, pause, finish, count };

struct Input {
  const std::uint8_t* data;
  std::size_t size;
};

// The step's data as the inside of an MR60BHA2 frame: type u16, data.
std::size_t wrap_seeed(const Input& in, std::uint8_t* frame) {
  const std::size_t size = std::min(in.size - 2, Mr60bha2Format::kMaxData);
  const std::uint8_t header[7] = {1,          0,         0, 0, static_cast<std::uint8_t>(size),
                                  in.data[0], in.data[1]};
  std::memcpy(frame, header, sizeof header);
  std::memcpy(frame + 8, in.data + 2, size);
  const auto check = [](const std::uint8_t* from, std::size_t count) {
    unsigned parity = 0xFF;
    for (std::size_t i = 0; i < count; ++i) {
      parity ^= from[i];
    }
    return static_cast<std::uint8_t>(parity);
  };
  frame[7] = check(frame, 7);
  frame[8 + size] = check(frame + 8, size);
  return 9 + size;
}

// The same as the inside of a `53 59` frame: control, command, data.
std::size_t wrap_micradar(const Input& in, std::uint8_t* frame) {
  const std::size_t size = std::min(in.size - 2, R60abd1Format::kMaxData);
  const std::uint8_t header[6] = {0x53,       0x59, in.data[0],
                                  in.data[1], 0,    static_cast<std::uint8_t>(size)};
  std::memcpy(frame, header, sizeof header);
  std::memcpy(frame + 6, in.data + 2, size);
  unsigned sum = 0;
  for (std::size_t i = 0; i < 6 + size; ++i) {
    sum += frame[i];
  }
  frame[6 + size] = static_cast<std::uint8_t>(sum & 0xFFU);
  frame[7 + size] = 0x54;
  frame[8 + size] = 0x43;
  return 9 + size;
}

// The device's night; its UART hands over at most `most` bytes at once.
class Night {
 public:
  explicit Night(std::size_t most) : most_(most) {}

  void step(Step kind, const Input& in) {
    std::uint8_t frame[Mr60bha2Format::kMaxFrame];
    switch (kind) {
      case Step::bytes:
        hear(in.data, in.size);
        break;
      case Step::seeed:
        hear(frame, in.size < 2 ? 0 : wrap_seeed(in, frame));
        break;
      case Step::micradar:
        hear(frame, in.size < 2 ? 0 : wrap_micradar(in, frame));
        break;
      case Step::floats:
        accelerate(in);
        break;
      case Step::shake:
        shake(in);
        break;
      case Step::pause:
        for (std::size_t i = 0; i < in.size; ++i) {
          now_ms_ += kPauseUnitMs * in.data[i];
        }
        break;
      case Step::finish:
      case Step::count:
        finish();
        break;
    }
  }
  const std::vector<Epoch>& epochs() const { return epochs_; }
  Health health() const { return builder_.health(); }

 private:
  void hear(const std::uint8_t* bytes, std::size_t size) {
    for (std::size_t at = 0; at < size; at += most_) {
      builder_.radar(now_ms_, bytes + at, std::min(most_, size - at));
    }
    now_ms_ += 25;
  }
  // Samples of any float values at all.
  void accelerate(const Input& in) {
    for (std::size_t at = 0; at + sizeof(AccelSample) <= in.size; at += sizeof(AccelSample)) {
      AccelSample sample{};
      std::memcpy(&sample, in.data + at, sizeof sample);
      builder_.acceleration(now_ms_, sample);
      now_ms_ += kAccelPeriodMs;
    }
  }
  // Samples of three bytes, up to 4 g.
  void shake(const Input& in) {
    const auto g = [](std::uint8_t byte) { return static_cast<float>(byte - 128) / 32.0F; };
    for (std::size_t at = 0; at + 3 <= in.size; at += 3) {
      const std::uint8_t* axes = in.data + at;
      builder_.acceleration(now_ms_, {g(axes[0]), g(axes[1]), g(axes[2])});
      now_ms_ += kAccelPeriodMs;
    }
  }
  void finish() {
    if (epochs_.size() < kMostEpochs) {
      epochs_.push_back(builder_.finish(now_ms_));
    }
  }

  std::size_t most_;
  EpochBuilder builder_;
  std::uint32_t now_ms_ = 0U - 20000U;  // the clock wraps in the first epoch
  std::vector<Epoch> epochs_;
};

void play(const std::uint8_t* data, std::size_t size, Night& night) {
  std::size_t at = 0;
  while (at + 2 <= size) {
    const auto kind = static_cast<Step>(data[at] % static_cast<std::uint8_t>(Step::count));
    const std::size_t length = std::min<std::size_t>(data[at + 1], size - at - 2);
    night.step(kind, {data + at + 2, length});
    at += 2 + length;
  }
  night.step(Step::finish, {nullptr, 0});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Night whole(SIZE_MAX);
  play(data, size, whole);
  Night in_bytes(1);
  play(data, size, in_bytes);
  expect(whole.health() == in_bytes.health(), "bytes cut anywhere give the same health");
  for (std::size_t k = 0; k < whole.epochs().size(); ++k) {
    const Epoch& epoch = whole.epochs()[k];
    expect(epoch.codes == in_bytes.epochs()[k].codes, "bytes cut anywhere give the same epoch");
    for (std::size_t i = 0; i < kFeatureCount; ++i) {
      expect(epoch.codes[i] <= missing_code(static_cast<Feature>(i)), "a code fits its bits");
    }
  }
  return 0;
}
