#include "noctis/json.hpp"

#include <algorithm>
#include <limits>

namespace noctis {
namespace {

constexpr std::string_view kSpace = " \t\r\n";
constexpr std::string_view kDigits = "0123456789";
constexpr std::size_t kMostDigits = 20;  // of 64 bits

// substr() throws behind the end, and a target without exceptions cannot link that.
std::string_view head(std::string_view text, std::size_t size) {
  text.remove_suffix(text.size() - std::min(size, text.size()));
  return text;
}

bool plain(char character) {
  return character >= ' ' && character <= '~' && character != '"' && character != '\\';
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
  if (take("true")) {
    member.flag = true;
    return true;
  }
  if (take("false")) {
    member.flag = false;
    return true;
  }
  return take("null") || read_number(member);
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

void JsonWriter::put(char character) {
  whole_ = whole_ && size_ + 1 < room_;
  if (whole_) {
    to_[size_++] = character;
  }
}

void JsonWriter::put(std::string_view text) {
  for (const char character : text) {
    put(character);
  }
}

void JsonWriter::put_string(std::string_view text) {
  put('"');
  for (const char character : text) {
    put(plain(character) ? character : '?');
  }
  put('"');
}

void JsonWriter::put_digits(std::uint64_t value) {
  char digits[kMostDigits];
  std::size_t at = kMostDigits;
  do {
    digits[--at] = static_cast<char>('0' + value % 10);
    value /= 10;
  } while (value != 0);
  put(std::string_view(digits + at, kMostDigits - at));
}

void JsonWriter::put_name(const char* name) {
  if (!first_) {
    put(',');
  }
  first_ = false;
  if (name != nullptr) {
    put_string(name);
    put(':');
  }
}

void JsonWriter::begin(char bracket) {
  whole_ = whole_ && depth_ < kDepth;
  if (whole_) {
    closing_[depth_++] = bracket == '{' ? '}' : ']';
  }
  put(bracket);
  first_ = true;
}

JsonWriter& JsonWriter::text(const char* name, std::string_view value) {
  put_name(name);
  put_string(value);
  return *this;
}

JsonWriter& JsonWriter::number(const char* name, std::uint64_t value) {
  put_name(name);
  put_digits(value);
  return *this;
}

JsonWriter& JsonWriter::number(const char* name, std::optional<std::uint32_t> value) {
  return value ? number(name, std::uint64_t{*value}) : *this;
}

JsonWriter& JsonWriter::integer(const char* name, std::int32_t value) {
  put_name(name);
  if (value < 0) {
    put('-');
  }
  const std::int64_t wide = value;
  put_digits(static_cast<std::uint64_t>(wide < 0 ? -wide : wide));
  return *this;
}

JsonWriter& JsonWriter::flag(const char* name, bool value) {
  put_name(name);
  put(value ? "true" : "false");
  return *this;
}

JsonWriter& JsonWriter::hex(const char* name, std::uint64_t value) {
  put_name(name);
  put('"');
  for (int shift = 60; shift >= 0; shift -= 4) {
    put("0123456789abcdef"[(value >> static_cast<unsigned>(shift)) & 15U]);
  }
  put('"');
  return *this;
}

JsonWriter& JsonWriter::object(const char* name) {
  put_name(name);
  begin('{');
  return *this;
}

JsonWriter& JsonWriter::list(const char* name) {
  put_name(name);
  begin('[');
  return *this;
}

JsonWriter& JsonWriter::end() {
  if (depth_ > 0) {
    put(closing_[--depth_]);
  }
  first_ = false;
  return *this;
}

std::size_t JsonWriter::finish() {
  while (depth_ > 0) {
    end();
  }
  if (!whole_) {
    size_ = 0;
  }
  to_[size_] = '\0';
  return size_;
}

}  // namespace noctis
