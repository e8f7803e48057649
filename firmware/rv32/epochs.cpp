// Epochs out of sensor bytes: the same on every machine, whatever does its arithmetic.
#include <cstdio>

#include "checks.hpp"
#include "meter.hpp"
#include "noctis/epoch_builder.hpp"
#include "noctis/slot.hpp"
#include "sleeper.hpp"

namespace noctis::target {
namespace {

constexpr std::uint32_t kEpochs = 96;
constexpr std::uint32_t kMeasured = 4;  // an epoch with all sensors, breath and movement

struct EpochCost {
  Cost radar;
  Cost acceleration;
  Cost finish;
};

EpochBuilder builder;
Sleeper sleeper(20260101);

Epoch make_epoch(std::uint32_t number, EpochCost* cost) {
  const auto take = [cost](Cost EpochCost::* part, const auto& work) {
    if (cost != nullptr) {
      (cost->*part).add(cost_of(work));
    } else {
      work();
    }
  };
  const std::uint32_t start_ms = number * kEpochMs;
  sleeper.begin_epoch(number);
  for (std::uint32_t at_ms = 0; at_ms < kEpochMs; at_ms += 5) {
    const std::uint32_t now_ms = start_ms + at_ms;
    if (at_ms % Sleeper::kRadarPeriodMs == 0) {
      const RadarBytes bytes = sleeper.radar();
      take(&EpochCost::radar, [&] { builder.radar(now_ms, bytes.bytes.data(), bytes.size); });
    }
    Burst burst{};
    if (at_ms % kAccelPeriodMs == 0 && sleeper.accelerometer(at_ms, burst)) {
      take(&EpochCost::acceleration, [&] {
        AccelSample sample{};
        if (decode_mpu6050_burst(burst.data(), burst.size(), sample)) {
          builder.acceleration(now_ms, sample);
        }
      });
    }
  }
  Epoch epoch{};
  take(&EpochCost::finish, [&] { epoch = builder.finish(start_ms + kEpochMs); });
  return epoch;
}

void print_epoch(std::uint32_t number, const Epoch& epoch) {
  std::printf("epoch %lu", static_cast<unsigned long>(number));
  for (const std::uint16_t code : epoch.codes) {
    std::printf(" %u", static_cast<unsigned>(code));
  }
  std::printf(epoch.in_bed ? " in bed\n" : " out\n");
}

}  // namespace

void check_epochs() {
  builder.begin(0);
  for (std::uint32_t number = 0; number < kEpochs; ++number) {
    EpochCost cost;
    const bool measured = number == kMeasured;
    const Epoch epoch = make_epoch(number, measured ? &cost : nullptr);
    print_epoch(number, epoch);
    if (measured) {
      print("radar", cost.radar);
      print("acceleration", cost.acceleration);
      print("finish", cost.finish);
    }
  }
}

}  // namespace noctis::target
