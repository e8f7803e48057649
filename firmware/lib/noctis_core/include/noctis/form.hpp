// What a browser sends of a form, and the text of a claim in it. Both are read where they lie.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

namespace noctis {

inline constexpr std::size_t kMostFields = 8;

struct FormField {
  std::string_view name;
  std::string_view value;
};

struct Form {
  // Empty: it was not filled in, or is not in the form.
  std::string_view value(std::string_view name) const;

  std::array<FormField, kMostFields> fields{};
  std::size_t count = 0;
};

// Reads application/x-www-form-urlencoded, and decodes it in place. Nothing for what no browser
// sends: a character that it would have escaped, an escape that is none, a field without a
// name or without '=', one that comes twice, or too many.
std::optional<Form> read_form(char* text, std::size_t size);

// Decodes base64url without padding in place, over blanks and line ends; returns its bytes'
// count. Nothing for any other character, and where bits are left over that are not 0.
std::optional<std::size_t> decode_base64url(char* text, std::size_t size);

}  // namespace noctis
