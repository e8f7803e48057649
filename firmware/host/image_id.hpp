// The image that runs.
#pragma once

#include <string>

#include "noctis/update.hpp"

namespace noctis::host {

FirmwareId running_image();
// Name and version, for the status.
const char* firmware_name();

}  // namespace noctis::host
