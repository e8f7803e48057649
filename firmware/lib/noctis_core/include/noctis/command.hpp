// A command of the platform: one flat JSON object, read in place and strictly.
//   {"id": "<uuid>", "command": "resend", "stream": "<16 hex digits>", "from": n, "to": m}
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace noctis {

inline constexpr std::size_t kMostCommand = 512;  // bytes

struct JsonMember {
  std::string_view name;
  std::optional<std::string_view> text;  // if it is a string
  std::optional<std::uint32_t> number;   // if it is a number
};

// The members of an object of strings, whole numbers of 32 bits, true, false and null. Strings
// are printable ASCII without a backslash. Anything else is no such object. The bytes must
// outlive the members.
class JsonReader {
 public:
  explicit JsonReader(std::string_view text) : rest_(text) {}

  // The next member; false at the end of the object, and where there is no such object.
  bool next(JsonMember& member);
  // Everything was read, and nothing was wrong.
  bool complete() const { return state_ == State::ended; }

 private:
  enum class State : std::uint8_t { begin, inside, ended, wrong };

  bool read_member(JsonMember& member);
  bool read_value(JsonMember& member);
  bool read_number(JsonMember& member);
  bool take(char character);
  bool take(std::string_view word);
  bool take_string(std::string_view& text);
  void skip_space();

  std::string_view rest_;
  State state_ = State::begin;
};

using CommandId = std::array<char, 36>;  // a UUID, lower case

struct Command {
  enum class Kind : std::uint8_t {
    resend,
    unknown,    // of a later version
    malformed,  // what it needs is missing, or makes no sense
  };

  CommandId id;
  Kind kind = Kind::unknown;
  std::uint64_t stream = 0;
  std::uint32_t first = 0;
  std::uint32_t last = 0;
};

// Nothing where no answer could be given: no such object, no good id, a name that comes twice.
// Members that are not known are passed over.
std::optional<Command> read_command(const std::uint8_t* data, std::size_t size);

}  // namespace noctis
