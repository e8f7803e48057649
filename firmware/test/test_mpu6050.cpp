#include <doctest/doctest.h>

#include <algorithm>

#include "mpu6050_chip.hpp"
#include "noctis/epoch_builder.hpp"
#include "noctis/quantise.hpp"

using namespace noctis;

TEST_CASE("a burst is three big-endian axes at 16384 counts a g") {
  const std::uint8_t burst[14] = {0x40, 0x00,  // x: +16384, 1 g
                                  0xE0, 0x00,  // y: -8192, -0.5 g
                                  0x00, 0x01,  // z: the smallest step
                                  0xF2, 0x38,  // temperature
                                  1,    2,    3, 4, 5, 6};
  AccelSample sample{};
  REQUIRE(decode_mpu6050_burst(burst, sizeof burst, sample));
  CHECK(sample.x == 1.0F);
  CHECK(sample.y == -0.5F);
  CHECK(sample.z == 1.0F / 16384.0F);
}

TEST_CASE("both ends of an axis are read") {
  const std::uint8_t burst[14] = {0x7F, 0xFF, 0x80, 0x00};
  AccelSample sample{};
  REQUIRE(decode_mpu6050_burst(burst, sizeof burst, sample));
  CHECK(sample.x == 32767.0F / 16384.0F);
  CHECK(sample.y == -2.0F);
}

TEST_CASE("a burst of another size is refused") {
  const std::uint8_t burst[15] = {0x40, 0x00};
  AccelSample sample{};
  CHECK_FALSE(decode_mpu6050_burst(burst, 13, sample));
  CHECK_FALSE(decode_mpu6050_burst(burst, 15, sample));
}

TEST_CASE("a sleeping sensor and a dead bus are refused") {
  const std::uint8_t asleep[14] = {};
  const std::uint8_t dead[14] = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
                                 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};
  AccelSample sample{};
  CHECK_FALSE(decode_mpu6050_burst(asleep, sizeof asleep, sample));
  CHECK_FALSE(decode_mpu6050_burst(dead, sizeof dead, sample));
}

namespace {

using Chip = host::Mpu6050Chip;

// A chip and its driver, polled at 50 Hz.
struct Wiring {
  explicit Wiring(std::uint8_t id = 0x68, std::uint8_t address = 0x68) : chip(id, address) {}

  // Returns how many samples came in that time.
  int run(double seconds) {
    int samples = 0;
    for (int i = 0; i < static_cast<int>(seconds * 50.0); ++i) {
      noise = noise * 6364136223846793005U + 1442695040888963407U;
      chip.feel({0.5F, 0.0F, -1.0F}, noise >> 32U);
      samples += driver.poll(now_ms, sample) ? 1 : 0;
      now_ms += kAccelPeriodMs;
    }
    return samples;
  }

  Chip chip;
  Mpu6050 driver{chip};
  AccelSample sample{};
  std::uint32_t now_ms = 0U - 1000U;  // the clock wraps soon
  std::uint64_t noise = 1;
};

// Counts what the driver asks of a bus where nobody is.
struct DeadBus : I2cBus {
  bool write(std::uint8_t, std::uint8_t, std::uint8_t) override { return ++calls == 0; }
  bool read(std::uint8_t, std::uint8_t, std::uint8_t*, std::size_t) override {
    return ++calls == 0;
  }
  int calls = 0;
};

}  // namespace

TEST_CASE("a sleeping chip is woken and read 50 times a second") {
  Wiring wiring;
  wiring.run(0.3);
  CHECK(wiring.run(10) == 500);
  CHECK(wiring.sample.x == 0.5F);
  CHECK(wiring.sample.z == -1.0F);
  CHECK(wiring.driver.state() == AccelState::ok);
  CHECK(wiring.driver.id() == 0x68);
}

TEST_CASE("a chip that another program left at 16 g reads right again") {
  Wiring wiring;
  wiring.chip.write(0x68, 0x6B, 0x01);
  wiring.chip.write(0x68, 0x1C, 0x18);
  wiring.run(1);
  CHECK(wiring.sample.x == 0.5F);
}

TEST_CASE("relatives and clones are accepted, at either address, and strangers are not") {
  for (const int number : {0x68, 0x70, 0x71, 0x72, 0x73, 0x74, 0x75, 0x98}) {
    for (const int address : {0x68, 0x69}) {
      const auto id = static_cast<std::uint8_t>(number);
      Wiring wiring(id, static_cast<std::uint8_t>(address));
      CAPTURE(number);
      CHECK(wiring.run(1) > 40);
      CHECK(wiring.driver.id() == id);
    }
  }
  Wiring stranger(0x33);
  CHECK(stranger.run(10) == 0);
  CHECK(stranger.driver.state() == AccelState::absent);
  CHECK(stranger.driver.id() == 0);
}

TEST_CASE("where no chip is, it is looked for ever less often, and never in a loop") {
  DeadBus bus;
  Mpu6050 driver(bus);
  AccelSample sample{};
  std::uint32_t now_ms = 0;
  int most = 0;
  for (int i = 0; i < 50 * 600; ++i, now_ms += kAccelPeriodMs) {
    const int before = bus.calls;
    CHECK_FALSE(driver.poll(now_ms, sample));
    most = std::max(most, bus.calls - before);
  }
  CHECK(most == 2);            // both addresses, once
  CHECK(bus.calls <= 2 * 16);  // 0, 1, 3, 7, ... 63 s, then every 60 s
  CHECK(bus.calls >= 2 * 14);
  CHECK(driver.state() == AccelState::absent);
}

TEST_CASE("a chip that vanishes is absent within 100 ms and found when it is back") {
  Wiring wiring;
  wiring.run(5);
  wiring.chip.unplug();
  CHECK(wiring.run(0.1) == 0);
  CHECK(wiring.driver.state() == AccelState::absent);
  wiring.run(20);
  wiring.chip.plug_in();
  wiring.run(17);  // the pause had grown to 16 s
  CHECK(wiring.driver.state() == AccelState::ok);
  CHECK(wiring.run(1) == 50);
  wiring.chip.unplug();
  wiring.run(0.5);
  wiring.chip.plug_in();
  wiring.run(2);  // and begins small again
  CHECK(wiring.driver.state() == AccelState::ok);
}

TEST_CASE("a chip that a brown-out sends to sleep is woken within half a second") {
  Wiring wiring;
  wiring.run(5);
  for (int i = 0; i < 20; ++i) {
    wiring.chip.brown_out();
    CHECK(wiring.run(5) >= 225);
    CHECK(wiring.driver.state() == AccelState::ok);
  }
}

TEST_CASE(
    "a chip that repeats one burst is frozen, and gives no samples, until it lives again") {
  Wiring wiring;
  wiring.run(5);
  wiring.chip.freeze(true);
  CHECK(wiring.run(60) <= 50);
  CHECK(wiring.driver.state() == AccelState::frozen);
  CHECK(wiring.run(60) == 0);
  wiring.chip.freeze(false);
  wiring.run(61);
  CHECK(wiring.driver.state() == AccelState::ok);
  CHECK(wiring.run(1) == 50);
}

TEST_CASE("a single lost burst is a lost sample and nothing more") {
  Wiring wiring;
  wiring.run(5);
  wiring.chip.unplug();
  wiring.run(0.02);
  wiring.chip.plug_in();
  wiring.chip.write(0x68, 0x6B, 0x01);
  CHECK(wiring.run(1) == 50);
}

TEST_CASE("the accelerometer's state and number are in the sensors' health") {
  EpochBuilder builder;
  Wiring wiring(0x98);
  const auto epoch = [&] {
    for (int i = 0; i < 1500; ++i) {
      wiring.chip.feel({0.0F, 0.01F * static_cast<float>(i % 3), 1.0F},
                       static_cast<std::uint64_t>(i));
      builder.accelerometer(wiring.now_ms, wiring.driver);
      wiring.now_ms += kAccelPeriodMs;
    }
    return builder.finish(wiring.now_ms);
  };
  CHECK(builder.health().accel == AccelState::absent);
  CHECK(epoch().codes[act_count] != missing_code(act_count));
  CHECK(builder.health().accel == AccelState::ok);
  CHECK(builder.health().accel_id == 0x98);
  wiring.chip.freeze(true);
  epoch();
  CHECK(epoch().codes[act_count] == missing_code(act_count));
  CHECK(builder.health().accel == AccelState::frozen);
  wiring.chip.unplug();
  for (int i = 0; i < 3; ++i) {
    epoch();
  }
  CHECK(builder.health().accel == AccelState::absent);
  CHECK(builder.health().accel_id == 0x98);
}
