// noctis-boot: the boot loader and the reset of a device on a computer.
#include <csignal>
#include <cstdio>
#include <string>
#include <string_view>

#include "boot.hpp"

namespace {

constexpr const char* kUsage =
    R"(noctis-boot: runs a virtual device from one of two slots, as an ESP32's boot loader does

  noctis-boot --slots DIR [--image FILE] -- <arguments of noctis-device>

  --slots DIR    the folder of the slots; made where it is missing
  --image FILE   the program for the first slot, where that is empty

It gives the image --slots and --slot. An image that ends with 75 wants to boot the one that is
chosen; one that crashes boots again, and one that was on trial is followed by the one before it.
)";

volatile std::sig_atomic_t stop = 0;

int complain(const std::string& message) {
  std::fprintf(stderr, "noctis-boot: %s\n", message.c_str());
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  noctis::host::BootSettings settings;
  int i = 1;
  for (; i < argc && std::string_view(argv[i]) != "--"; i += 2) {
    const std::string_view name = argv[i];
    if (name == "--help" || name == "-h") {
      std::fputs(kUsage, stdout);
      return 0;
    }
    if ((name != "--slots" && name != "--image") || i + 1 >= argc) {
      return complain("unknown option '" + std::string(name) + "', or no value; see --help");
    }
    (name == "--slots" ? settings.slots : settings.image) = argv[i + 1];
  }
  if (settings.slots.empty() || i >= argc) {
    return complain("--slots DIR and -- with the device's arguments are needed; see --help");
  }
  settings.arguments.assign(argv + i + 1, argv + argc);
  std::signal(SIGTERM, [](int) { stop = 1; });
  std::signal(SIGINT, [](int) { stop = 1; });
  std::string error;
  const int code = noctis::host::boot_for_ever(settings, &stop, error);
  return error.empty() ? code : complain(error);
}
