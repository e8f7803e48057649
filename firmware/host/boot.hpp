// What the ESP32's boot loader and its reset do, for a device on a computer.
#pragma once

#include <string>
#include <vector>

#include "noctis/board.hpp"

namespace noctis::host {

inline constexpr int kBootAgain = 75;  // how an image ends that wants the boot loader to choose

// How an image hears why it runs; one that is older than this passes it over.
inline constexpr const char* kResetVariable = "NOCTIS_DEVICE_RESET";
// What the boot loader says; without one the power came on.
ResetReason reset_reason();

struct BootSettings {
  std::string slots;                   // the folder
  std::string image;                   // for the first slot, where it is empty; or empty
  std::vector<std::string> arguments;  // of the image
};

// Runs the image that is to boot, and boots again when it ends, however it does; but an image
// that ends well, or because *stop is set, is switched off. Returns the exit code.
int boot_for_ever(const BootSettings& settings, const volatile int* stop, std::string& error);

}  // namespace noctis::host
