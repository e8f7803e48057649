// What a fuzz target holds to be true: where it is not, the fuzzer keeps the input.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace noctis::fuzz {

inline void expect(bool holds, const char* what) {
  if (!holds) {
    std::fprintf(stderr, "does not hold: %s\n", what);
    std::abort();
  }
}

}  // namespace noctis::fuzz
