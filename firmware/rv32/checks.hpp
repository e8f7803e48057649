// What the program checks and how it says so: a line a failure, `key value` lines for what must
// be the same on every machine, `measured` lines for what this one took.
#pragma once

#include <cstdint>

namespace noctis::target {

// Says what is wrong, with the number of its vector, epoch or life. Returns `good`.
bool expect(bool good, const char* what, std::uint32_t number = 0);
std::uint32_t failures();

void check_codecs();
void check_epochs();
void check_spool();
void check_device();
void measure_sizes();
void measure_spool();

}  // namespace noctis::target
