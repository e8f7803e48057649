// The bytes that radars put on their UART.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace noctis::host {

// What a radar finds in the bed at a moment.
struct Sight {
  bool present;
  bool breathing;     // whether the night knows any breathing
  float heart_rate;   // bpm, 0 none
  float breath_rate;  // breaths a minute, 0 none
  float chest;        // phase, rad
  float heart;        // phase, rad
  float movement_g;   // how strongly the sleeper moves
};

// By time in the night, in ms.
using Scene = std::function<Sight(std::int64_t)>;

// Appends what an MR60BHA2 says at a moment; it speaks every 125 ms.
inline constexpr std::int64_t kMr60bha2PeriodMs = 125;
void say_as_mr60bha2(std::int64_t ms, const Sight& sight, std::vector<std::uint8_t>& bytes);

// The same of an R60ABD1, which speaks every second: now is what it sees and `ms` its clock.
inline constexpr std::int64_t kR60abd1PeriodMs = 1000;
void say_as_r60abd1(std::int64_t ms, std::int64_t now, const Scene& scene,
                    std::vector<std::uint8_t>& bytes);

}  // namespace noctis::host
