#include <cstdio>
#include <cstdlib>
#include <new>

#include "checks.hpp"

// There is no heap: interfaces' destructors name these two, nothing calls them.
#ifdef __riscv
void operator delete(void*) noexcept { std::abort(); }
void operator delete(void*, std::size_t) noexcept { std::abort(); }
#endif

namespace noctis::target {
namespace {

std::uint32_t failed = 0;

}  // namespace

bool expect(bool good, const char* what, std::uint32_t number) {
  if (!good) {
    ++failed;
    std::printf("FAILED %s, number %lu\n", what, static_cast<unsigned long>(number));
  }
  return good;
}

std::uint32_t failures() { return failed; }

}  // namespace noctis::target

int main() {
  using namespace noctis::target;
  check_codecs();
  check_epochs();
  check_spool();
  check_device();
  measure_sizes();
  measure_spool();
  std::printf("%s\n", failures() == 0 ? "passed" : "failed");
  return failures() == 0 ? 0 : 1;
}
