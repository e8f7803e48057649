// A command of the platform: one flat JSON object, read in place and strictly.
//   {"id": "<uuid>", "command": "resend", "stream": "<16 hex digits>", "from": n, "to": m}
//   {"id": "<uuid>", "command": "reboot"}
//   {"id": "<uuid>", "command": "identify", "seconds": n}
//   {"id": "<uuid>", "command": "erase", "stream": "<16 hex digits>"}
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "noctis/json.hpp"

namespace noctis {

inline constexpr std::size_t kMostCommand = 512;  // bytes

using CommandId = std::array<char, 36>;  // a UUID, lower case

bool is_command_id(std::string_view text);

struct Command {
  static constexpr std::uint32_t kIdentifyS = 30;  // where a command does not say
  static constexpr std::uint32_t kMostIdentifyS = 600;

  enum class Kind : std::uint8_t {
    resend,
    reboot,
    identify,
    erase,
    unknown,    // of a later version
    malformed,  // what it needs is missing, or makes no sense
  };

  CommandId id;
  Kind kind = Kind::unknown;
  std::uint64_t stream = 0;
  std::uint32_t first = 0;
  std::uint32_t last = 0;
  std::uint32_t seconds = 0;  // of identify; 0: no longer
};

// Nothing where no answer could be given: no such object, no good id, a name that comes twice.
// Members that are not known are passed over.
std::optional<Command> read_command(const std::uint8_t* data, std::size_t size);

}  // namespace noctis
