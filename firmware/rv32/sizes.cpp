#include <cstdio>

#include "checks.hpp"
#include "noctis/courier.hpp"
#include "noctis/epoch_builder.hpp"
#include "noctis/spool.hpp"
#include "noctis/timekeeper.hpp"

namespace noctis::target {
namespace {

void print(const char* what, std::size_t size) {
  std::printf("sizeof %s %lu\n", what, static_cast<unsigned long>(size));
}

}  // namespace

void measure_sizes() {
  print("EpochBuilder", sizeof(EpochBuilder));
  print("Spool", sizeof(Spool));
  print("SpoolReader", sizeof(SpoolReader));
  print("Courier", sizeof(Courier));
  print("Log", sizeof(Log));
  print("Timekeeper", sizeof(Timekeeper));
  print("Frame", sizeof(Frame));
}

}  // namespace noctis::target
