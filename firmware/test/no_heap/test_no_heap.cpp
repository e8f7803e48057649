// A program of its own, as it replaces the heap: every allocation is counted, those of C++ by
// these operators, those of C by the linker's --wrap.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <vector>

#include "small_device.hpp"

namespace {

std::size_t allocations = 0;

}  // namespace

extern "C" {
void* __real_malloc(std::size_t size);
void* __real_calloc(std::size_t count, std::size_t size);
void* __real_realloc(void* old, std::size_t size);

void* __wrap_malloc(std::size_t size) {
  ++allocations;
  return __real_malloc(size);
}
void* __wrap_calloc(std::size_t count, std::size_t size) {
  ++allocations;
  return __real_calloc(count, size);
}
void* __wrap_realloc(void* old, std::size_t size) {
  ++allocations;
  return __real_realloc(old, size);
}
}

// Not inlined: GCC would see free() take what operator new gave.
[[gnu::noinline]] void* operator new(std::size_t size) {
  if (void* const memory = __wrap_malloc(size)) {
    return memory;
  }
  throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new[](std::size_t size) { return operator new(size); }
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete[](void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete[](void* memory, std::size_t) noexcept {
  std::free(memory);
}

using namespace noctis;
using namespace noctis::target;

TEST_CASE("the counter sees what C and C++ allocate") {
  const std::size_t before = allocations;
  void* volatile of_c = std::malloc(100);
  std::free(of_c);
  CHECK(allocations == before + 1);
  const auto of_cpp = std::make_unique<int>(7);
  CHECK(allocations == before + 2);
}

TEST_CASE("a device that senses, stores, sends and is acknowledged allocates nothing") {
  constexpr std::uint32_t kSectors = 4;
  std::vector<std::uint8_t> chip(std::size_t{kSectors} * Flash::kSectorSize);
  RamNor nor(chip.data(), kSectors, 1);
  const auto device = std::make_unique<SmallDevice>(nor, 20260103);

  const std::size_t before = allocations;
  for (int epoch = 0; epoch < 1500; ++epoch) {
    device->live_one_epoch();
  }
  CHECK(allocations == before);

  // It did all of it: live, backlog, status, commands, a ring gone round.
  CHECK(device->refused() == 0);
  CHECK(device->platform().live > 1000);
  CHECK(device->platform().backlog > 100);
  CHECK(device->platform().statuses > 100);
  CHECK(device->platform().results > 20);
  CHECK(device->platform().configs > 20);
  CHECK(device->platform().logs > 20);
  CHECK(device->board().identified_s > 100);
  CHECK(device->spool().next_seq() > layout::kSlotsPerSector * kSectors);
  CHECK(device->spool().overwritten() == 0);
  CHECK(device->spool().backlog() < 100);
}
