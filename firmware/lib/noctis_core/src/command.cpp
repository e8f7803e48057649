#include "noctis/command.hpp"

#include <algorithm>

namespace noctis {
namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";
constexpr std::size_t kStreamDigits = 16;

std::optional<std::uint64_t> stream_of(std::string_view text) {
  if (text.size() != kStreamDigits) {
    return std::nullopt;
  }
  std::uint64_t stream = 0;
  for (const char digit : text) {
    const std::size_t value = kHexDigits.find(digit);
    if (value == std::string_view::npos) {
      return std::nullopt;
    }
    stream = (stream << 4U) | value;
  }
  return stream;
}

// The members that a command is made of, as they come.
class Fields {
 public:
  enum Name : std::uint8_t { kId, kCommand, kStream, kFrom, kTo, kSeconds };

  void take(const JsonMember& member) {
    const auto* const name = std::find(kNames.begin(), kNames.end(), member.name);
    if (name == kNames.end()) {
      return;
    }
    JsonMember& place = members_[static_cast<std::size_t>(name - kNames.begin())];
    twice_ = twice_ || !place.name.empty();
    place = member;
  }
  [[nodiscard]] bool twice() const { return twice_; }
  [[nodiscard]] bool has(Name name) const { return !members_[name].name.empty(); }
  // The empty text is none of those that may be.
  [[nodiscard]] std::string_view text(Name name) const {
    return members_[name].text.value_or(std::string_view());
  }
  [[nodiscard]] std::optional<std::uint32_t> number(Name name) const {
    return members_[name].number;
  }

 private:
  static constexpr std::array<std::string_view, 6> kNames{"id",   "command", "stream",
                                                          "from", "to",      "seconds"};
  std::array<JsonMember, kNames.size()> members_{};
  bool twice_ = false;
};

Command::Kind read_resend(const Fields& fields, Command& command) {
  const auto stream = stream_of(fields.text(Fields::kStream));
  const auto first = fields.number(Fields::kFrom);
  const auto last = fields.number(Fields::kTo);
  if (!stream || !first || !last || *first > *last) {
    return Command::Kind::malformed;
  }
  command.stream = *stream;
  command.first = *first;
  command.last = *last;
  return Command::Kind::resend;
}

Command::Kind read_identify(const Fields& fields, Command& command) {
  const auto seconds = fields.number(Fields::kSeconds);
  if (fields.has(Fields::kSeconds) && (!seconds || *seconds > Command::kMostIdentifyS)) {
    return Command::Kind::malformed;
  }
  command.seconds = seconds.value_or(Command::kIdentifyS);
  return Command::Kind::identify;
}

Command::Kind read_erase(const Fields& fields, Command& command) {
  const auto stream = stream_of(fields.text(Fields::kStream));
  if (!stream) {
    return Command::Kind::malformed;
  }
  command.stream = *stream;
  return Command::Kind::erase;
}

Command::Kind read_kind(const Fields& fields, Command& command) {
  const std::string_view name = fields.text(Fields::kCommand);
  if (name == "resend") {
    return read_resend(fields, command);
  }
  if (name == "reboot") {
    return Command::Kind::reboot;
  }
  if (name == "identify") {
    return read_identify(fields, command);
  }
  if (name == "erase") {
    return read_erase(fields, command);
  }
  return name.empty() ? Command::Kind::malformed : Command::Kind::unknown;
}

}  // namespace

bool is_command_id(std::string_view text) {
  if (text.size() != CommandId{}.size()) {
    return false;
  }
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;
    if (hyphen ? text[i] != '-' : kHexDigits.find(text[i]) == std::string_view::npos) {
      return false;
    }
  }
  return true;
}

std::optional<Command> read_command(const std::uint8_t* data, std::size_t size) {
  if (size > kMostCommand) {
    return std::nullopt;
  }
  JsonReader reader({reinterpret_cast<const char*>(data), size});
  JsonMember member;
  Fields fields;
  while (reader.next(member)) {
    fields.take(member);
  }
  const std::string_view id = fields.text(Fields::kId);
  if (!reader.complete() || fields.twice() || !is_command_id(id)) {
    return std::nullopt;
  }
  Command command{};
  std::copy(id.begin(), id.end(), command.id.begin());
  command.kind = read_kind(fields, command);
  return command;
}

}  // namespace noctis
