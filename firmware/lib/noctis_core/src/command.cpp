#include "noctis/command.hpp"

#include <algorithm>
#include <limits>

namespace noctis {
namespace {

constexpr std::string_view kSpace = " \t\r\n";
constexpr std::string_view kHexDigits = "0123456789abcdef";
constexpr std::string_view kDigits = "0123456789";
constexpr std::size_t kStreamDigits = 16;

// substr() throws behind the end, and a target without exceptions cannot link that.
std::string_view head(std::string_view text, std::size_t size) {
  text.remove_suffix(text.size() - std::min(size, text.size()));
  return text;
}

bool is_id(std::string_view text) {
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
  enum Name : std::uint8_t { kId, kCommand, kStream, kFrom, kTo };

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
  // The empty text is none of those that may be.
  [[nodiscard]] std::string_view text(Name name) const {
    return members_[name].text.value_or(std::string_view());
  }
  [[nodiscard]] std::optional<std::uint32_t> number(Name name) const {
    return members_[name].number;
  }

 private:
  static constexpr std::array<std::string_view, 5> kNames{"id", "command", "stream", "from",
                                                          "to"};
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

}  // namespace

void JsonReader::skip_space() {
  rest_.remove_prefix(std::min(rest_.find_first_not_of(kSpace), rest_.size()));
}

bool JsonReader::take(char character) {
  skip_space();
  const bool there = !rest_.empty() && rest_.front() == character;
  rest_.remove_prefix(there ? 1 : 0);
  return there;
}

bool JsonReader::take(std::string_view word) {
  const bool there = head(rest_, word.size()) == word;
  rest_.remove_prefix(there ? word.size() : 0);
  return there;
}

bool JsonReader::take_string(std::string_view& text) {
  if (!take('"')) {
    return false;
  }
  const auto end = std::find_if(rest_.begin(), rest_.end(), [](char character) {
    return character == '"' || character == '\\' || character < ' ' || character > '~';
  });
  const auto size = static_cast<std::size_t>(end - rest_.begin());
  if (size == rest_.size() || *end != '"') {
    return false;
  }
  text = head(rest_, size);
  rest_.remove_prefix(size + 1);
  return true;
}

bool JsonReader::read_number(JsonMember& member) {
  const std::size_t size = std::min(rest_.find_first_not_of(kDigits), rest_.size());
  if (size == 0 || (size > 1 && rest_.front() == '0')) {
    return false;
  }
  std::uint64_t value = 0;
  for (const char digit : head(rest_, size)) {
    value = 10 * value + static_cast<std::uint64_t>(digit - '0');
    if (value > std::numeric_limits<std::uint32_t>::max()) {
      return false;
    }
  }
  rest_.remove_prefix(size);
  member.number = static_cast<std::uint32_t>(value);
  return true;
}

bool JsonReader::read_value(JsonMember& member) {
  skip_space();
  if (!rest_.empty() && rest_.front() == '"') {
    std::string_view text;
    const bool whole = take_string(text);
    member.text = text;
    return whole;
  }
  return take("true") || take("false") || take("null") || read_number(member);
}

bool JsonReader::read_member(JsonMember& member) {
  member = {};
  return take_string(member.name) && take(':') && read_value(member);
}

bool JsonReader::next(JsonMember& member) {
  if (state_ == State::ended || state_ == State::wrong) {
    return false;
  }
  const bool first = state_ == State::begin;
  state_ = State::wrong;
  if (first && !take('{')) {
    return false;
  }
  if (take('}')) {
    skip_space();
    state_ = rest_.empty() ? State::ended : State::wrong;
    return false;
  }
  if ((!first && !take(',')) || !read_member(member)) {
    return false;
  }
  state_ = State::inside;
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
  if (!reader.complete() || fields.twice() || !is_id(id)) {
    return std::nullopt;
  }
  Command command{};
  std::copy(id.begin(), id.end(), command.id.begin());
  const std::string_view name = fields.text(Fields::kCommand);
  if (name == "resend") {
    command.kind = read_resend(fields, command);
  } else {
    command.kind = name.empty() ? Command::Kind::malformed : Command::Kind::unknown;
  }
  return command;
}

}  // namespace noctis
