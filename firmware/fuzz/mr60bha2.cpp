// Any bytes for the parser of the MR60BHA2.
#include "noctis/mr60bha2.hpp"

#include "radar_parsing.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::uint8_t heart_72[] = {0x01, 0x00, 0x01, 0x00, 0x04, 0x0A, 0x15,
                                       0xE4, 0x00, 0x00, 0x90, 0x42, 0x2D};
  noctis::fuzz::check_parser<noctis::Mr60bha2Format>(data, size, heart_72);
  return 0;
}
