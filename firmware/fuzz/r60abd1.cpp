// Any bytes for the parser of the `53 59` family.
#include "noctis/r60abd1.hpp"

#include "radar_parsing.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::uint8_t heart_72[] = {0x53, 0x59, 0x85, 0x02, 0x00,
                                       0x01, 0x48, 0x7C, 0x54, 0x43};
  noctis::fuzz::check_parser<noctis::R60abd1Format>(data, size, heart_72);
  return 0;
}
