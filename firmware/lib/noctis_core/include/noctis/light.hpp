// What the device's light says, so that nobody needs a cable to know what is missing.
#pragma once

#include <cstdint>

namespace noctis {

// As many flashes every three seconds as the number says; a device that is well is dark.
enum class Sign : std::uint8_t {
  well = 0,
  unclaimed = 1,
  no_wifi = 2,
  no_platform = 3,
  no_radar = 4,
  no_flash = 5,  // where the epochs go
};

inline constexpr std::uint64_t kSignMs = 3000;
inline constexpr std::uint64_t kFlashMs = 100;
inline constexpr std::uint64_t kBetweenMs = 300;  // from flash to flash

// Whether the light is on at that moment.
constexpr bool lit(Sign sign, std::uint64_t now_ms) {
  const std::uint64_t at_ms = now_ms % kSignMs;
  return at_ms / kBetweenMs < static_cast<std::uint64_t>(sign) && at_ms % kBetweenMs < kFlashMs;
}

// A device that shows which one it is blinks fast and without a pause.
constexpr bool lit_to_identify(std::uint64_t now_ms) { return now_ms % 200 < 100; }

}  // namespace noctis
