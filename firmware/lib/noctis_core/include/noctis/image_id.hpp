// What an image of the firmware says of itself, readable in its bytes: `noctis firmware add`
// looks for it, so that nobody has to say what he signs.
#pragma once

#include <cstdint>

namespace noctis {

// Little-endian, texts padded with zeros. An application has one, as a volatile constant that
// its compiler cannot take apart.
struct ImageId {
  char magic[16];  // "noctis-image-1\n"
  std::uint32_t build;
  char target[16];
  char version[32];
};
static_assert(sizeof(ImageId) == 68);

}  // namespace noctis
