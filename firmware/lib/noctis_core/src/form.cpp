#include "noctis/form.hpp"

#include <algorithm>
#include <cstdint>

namespace noctis {
namespace {

bool among(char character, char first, char last) {
  return character >= first && character <= last;
}

bool is_plain(char character) {
  return among(character, 'a', 'z') || among(character, 'A', 'Z') ||
         among(character, '0', '9') || character == '*' || character == '-' ||
         character == '.' || character == '_' || character == '~';
}

int hex_value(char digit) {
  if (among(digit, '0', '9')) {
    return digit - '0';
  }
  const char lower = static_cast<char>(digit | 0x20);
  return among(lower, 'a', 'f') ? lower - 'a' + 10 : -1;
}

int base64_value(char digit) {
  if (among(digit, 'A', 'Z')) {
    return digit - 'A';
  }
  if (among(digit, 'a', 'z')) {
    return digit - 'a' + 26;
  }
  if (among(digit, '0', '9')) {
    return digit - '0' + 52;
  }
  return digit == '-' ? 62 : digit == '_' ? 63 : -1;
}

// What is decoded is never longer than what it came from.
std::optional<std::string_view> unescape(char* text, std::size_t size) {
  std::size_t to = 0;
  for (std::size_t from = 0; from < size; ++from) {
    char character = text[from];
    if (character == '%') {
      const int high = from + 2 < size ? hex_value(text[from + 1]) : -1;
      const int low = from + 2 < size ? hex_value(text[from + 2]) : -1;
      if (high < 0 || low < 0) {
        return std::nullopt;
      }
      character = static_cast<char>(16 * high + low);
      from += 2;
    } else if (character == '+') {
      character = ' ';
    } else if (!is_plain(character)) {
      return std::nullopt;
    }
    text[to++] = character;
  }
  return std::string_view(text, to);
}

}  // namespace

std::string_view Form::value(std::string_view name) const {
  const auto* const end = fields.begin() + count;
  const auto* const found = std::find_if(
      fields.begin(), end, [name](const FormField& field) { return field.name == name; });
  return found == end ? std::string_view() : found->value;
}

std::optional<Form> read_form(char* text, std::size_t size) {
  Form form;
  char* const end = text + size;
  while (text != end) {
    char* const stop = std::find(text, end, '&');
    char* const equals = std::find(text, stop, '=');
    if (equals == text || equals == stop || form.count == form.fields.size()) {
      return std::nullopt;
    }
    const auto name = unescape(text, static_cast<std::size_t>(equals - text));
    const auto value = unescape(equals + 1, static_cast<std::size_t>(stop - equals - 1));
    if (!name || !value) {
      return std::nullopt;
    }
    const auto* const known = form.fields.begin() + form.count;
    if (std::any_of(form.fields.cbegin(), known,
                    [&name](const FormField& field) { return field.name == *name; })) {
      return std::nullopt;
    }
    form.fields[form.count++] = {*name, *value};
    text = stop == end ? end : stop + 1;
    if (text == end && stop != end) {
      return std::nullopt;  // nothing behind the last '&'
    }
  }
  return form;
}

std::optional<std::size_t> decode_base64url(char* text, std::size_t size) {
  std::uint32_t bits = 0;
  unsigned held = 0;  // bits, of `bits`
  std::size_t to = 0;
  std::size_t digits = 0;
  for (std::size_t from = 0; from < size; ++from) {
    const char character = text[from];
    if (character == ' ' || character == '\r' || character == '\n' || character == '\t') {
      continue;
    }
    const int value = base64_value(character);
    if (value < 0) {
      return std::nullopt;
    }
    ++digits;
    bits = (bits << 6U | static_cast<std::uint32_t>(value)) & 0xFFFFU;
    held += 6;
    if (held >= 8) {
      held -= 8;
      text[to++] = static_cast<char>(bits >> held);
    }
  }
  const bool left_over = (bits & ((1U << held) - 1U)) != 0;
  return digits % 4 == 1 || left_over ? std::nullopt : std::optional(to);
}

}  // namespace noctis
