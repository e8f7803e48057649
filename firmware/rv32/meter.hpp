// What a piece of work takes on the target: instructions, and the deepest stack.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace noctis::target {

struct Cost {
  std::uint64_t instructions = 0;
  std::uint32_t stack = 0;  // bytes

  void add(const Cost& other) {
    instructions += other.instructions;
    stack = std::max(stack, other.stack);
  }
};

// Instructions so far; 0 on other machines than the target.
std::uint64_t instructions_retired();
// Paints the free stack; measure it where the paint is gone.
void paint_stack();
std::uint32_t painted_stack_used();

// A frame of its own: nothing of the work's stack may hide in its caller's.
template <typename Work>
[[gnu::noinline]] void call(const Work& work) {
  work();
}

template <typename Work>
Cost cost_of(const Work& work) {
  paint_stack();
  const std::uint64_t before = instructions_retired();
  call(work);
  const std::uint64_t after = instructions_retired();
  return {after - before, painted_stack_used()};
}

void print(const char* what, const Cost& cost);

}  // namespace noctis::target
