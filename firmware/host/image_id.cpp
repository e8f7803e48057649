#include "image_id.hpp"

#include "noctis/image_id.hpp"

#ifndef NOCTIS_VERSION
#define NOCTIS_VERSION "0.1.0"
#endif
#ifndef NOCTIS_BUILD
#define NOCTIS_BUILD 1
#endif

namespace noctis::host {
namespace {

const volatile ImageId kImage{"noctis-image-1\n", NOCTIS_BUILD, "host", NOCTIS_VERSION};

std::string text(const volatile char* from, std::size_t most) {
  std::string found;
  for (std::size_t i = 0; i < most && from[i] != '\0'; ++i) {
    found += from[i];
  }
  return found;
}

}  // namespace

FirmwareId running_image() {
  static const std::string target = text(kImage.target, sizeof kImage.target);
  static const std::string version = text(kImage.version, sizeof kImage.version);
  return {target.c_str(), version.c_str(), kImage.build};
}

const char* firmware_name() {
  static const std::string name = std::string("noctis-device ") + running_image().version;
  return name.c_str();
}

}  // namespace noctis::host
