// The JSON of the protocol: flat objects read in place and strictly, and any object written
// into a buffer of fixed size.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace noctis {

struct JsonMember {
  std::string_view name;
  std::optional<std::string_view> text;  // if it is a string
  std::optional<std::uint32_t> number;   // if it is a number
  std::optional<bool> flag;              // if it is true or false
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

// Writes an object with a final zero. What does not fit makes it empty: a reader never sees
// half of one.
class JsonWriter {
 public:
  template <std::size_t kSize>
  explicit JsonWriter(char (&to)[kSize]) : to_(to), room_(kSize) {
    begin('{');
  }

  JsonWriter& text(const char* name, std::string_view value);
  JsonWriter& number(const char* name, std::uint64_t value);
  JsonWriter& number(const char* name, std::optional<std::uint32_t> value);  // nothing: none
  JsonWriter& integer(const char* name, std::int32_t value);
  JsonWriter& flag(const char* name, bool value);
  // Of 64 bits, as 16 hex digits.
  JsonWriter& hex(const char* name, std::uint64_t value);
  // An object, or a list whose members' names are null; end() closes the one opened last.
  JsonWriter& object(const char* name);
  JsonWriter& list(const char* name);
  JsonWriter& end();

  // Closes the object; returns its length, 0 if it did not fit.
  std::size_t finish();

 private:
  void put(char character);
  void put(std::string_view text);
  // A string: what is no printable ASCII, and '"' and '\\', come out as '?'.
  void put_string(std::string_view text);
  void put_name(const char* name);
  void put_digits(std::uint64_t value);
  void begin(char bracket);

  static constexpr std::size_t kDepth = 4;

  char* to_;
  std::size_t room_;
  std::size_t size_ = 0;
  std::size_t depth_ = 0;
  char closing_[kDepth] = {};
  bool first_ = true;
  bool whole_ = true;
};

}  // namespace noctis
