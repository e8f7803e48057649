// Any answers of an I2C bus for the accelerometer's driver.
#include "noctis/mpu6050.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "expect.hpp"

namespace {

using namespace noctis;
using fuzz::expect;

// Answers out of the input: a byte says what comes next, FF no acknowledgement, FE what a good
// chip would say of itself, FD the burst before, anything else the bytes that follow.
class AnyBus : public I2cBus {
 public:
  AnyBus(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}

  bool write(std::uint8_t, std::uint8_t, std::uint8_t) override {
    ++calls_;
    return next() != 0xFF;
  }
  bool read(std::uint8_t, std::uint8_t reg, std::uint8_t* to, std::size_t size) override {
    ++calls_;
    const std::uint8_t answer = next();
    if (answer == 0xFF) {
      return false;
    }
    if (answer == 0xFE && size == 1) {
      *to = reg == 0x75 ? 0x68 : 0x01;
    } else if (answer == 0xFD && size == kMpu6050BurstSize) {
      std::memcpy(to, last_, size);
    } else {
      std::generate_n(to, size, [this] { return next(); });
    }
    if (size == kMpu6050BurstSize) {
      std::memcpy(last_, to, size);
    }
    return true;
  }
  [[nodiscard]] bool over() const { return at_ >= size_; }
  [[nodiscard]] int calls() const { return calls_; }

 private:
  std::uint8_t next() { return at_ < size_ ? data_[at_++] : 0; }

  const std::uint8_t* data_;
  std::size_t size_;
  std::size_t at_ = 0;
  int calls_ = 0;
  std::uint8_t last_[kMpu6050BurstSize] = {};
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr int most_calls = 7;     // of a poll: to configure
  constexpr int most_polls = 3000;  // a minute
  AccelSample any{};
  decode_mpu6050_burst(data, size, any);
  AnyBus bus(data, size);
  Mpu6050 driver(bus);
  std::uint32_t now_ms = 0U - 500U;
  for (int i = 0; i < most_polls && !bus.over(); ++i, now_ms += kAccelPeriodMs) {
    const int before = bus.calls();
    AccelSample sample{};
    const bool sampled = driver.poll(now_ms, sample);
    expect(bus.calls() - before <= most_calls, "a poll never waits");
    if (sampled) {
      expect(driver.state() == AccelState::ok, "only a live chip gives samples");
      expect(std::fabs(sample.x) <= 2.0F && std::fabs(sample.y) <= 2.0F &&
                 std::fabs(sample.z) <= 2.0F,
             "a sample is within the range");
    }
  }
  return 0;
}
