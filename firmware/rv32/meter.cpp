#include "meter.hpp"

#include <cstddef>
#include <cstdio>

namespace noctis::target {

#ifdef __riscv

namespace {

constexpr std::size_t kPaintedWords = 4096;
constexpr std::size_t kOwnWords = 8;  // of the functions that paint and look
constexpr std::uint32_t kPaint = 0x5AA5C33CU;

std::uint32_t* painted_from = nullptr;
std::uint32_t* painted_to = nullptr;

std::uint32_t* stack_pointer() {
  std::uint32_t* pointer = nullptr;
  asm volatile("mv %0, sp" : "=r"(pointer));
  return pointer;
}

}  // namespace

std::uint64_t instructions_retired() {
  std::uint32_t high = 0;
  std::uint32_t low = 0;
  std::uint32_t again = 0;
  do {
    asm volatile(
        ".option push\n.option arch, +zicsr\n"
        "csrr %0, instreth\ncsrr %1, instret\ncsrr %2, instreth\n"
        ".option pop"
        : "=r"(high), "=r"(low), "=r"(again));
  } while (high != again);
  return (static_cast<std::uint64_t>(high) << 32U) | low;
}

[[gnu::noinline]] void paint_stack() {
  painted_to = stack_pointer() - kOwnWords;
  painted_from = painted_to - kPaintedWords;
  for (volatile std::uint32_t* word = painted_from; word != painted_to; ++word) {
    *word = kPaint;
  }
}

[[gnu::noinline]] std::uint32_t painted_stack_used() {
  const std::uint32_t* word = painted_from;
  while (word != painted_to && *word == kPaint) {
    ++word;
  }
  return static_cast<std::uint32_t>(painted_to + kOwnWords - word) * sizeof *word;
}

#else

std::uint64_t instructions_retired() { return 0; }
void paint_stack() {}
std::uint32_t painted_stack_used() { return 0; }

#endif

// One line: "measured", what, instructions, bytes of stack. No printf of 64 bits: a small C
// library may have none.
void print(const char* what, const Cost& cost) {
  std::printf("measured %s %lu %lu\n", what, static_cast<unsigned long>(cost.instructions),
              static_cast<unsigned long>(cost.stack));
}

}  // namespace noctis::target
