// Whose spool it is, on this machine.
#pragma once

#include <cstdint>
#include <string>

#include "noctis/spool.hpp"

namespace noctis::host {

// From the operating system, never from a seed: no two spools may ever get the same.
std::uint64_t random_bits();

SpoolIdentity spool_identity(const std::string& tenant, const std::string& device,
                             std::uint32_t chip);

}  // namespace noctis::host
