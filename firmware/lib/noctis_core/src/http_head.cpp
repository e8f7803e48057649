#include "noctis/http_head.hpp"

#include <algorithm>

namespace noctis {
namespace {

constexpr int kBadRequest = 400;
constexpr int kTooLarge = 413;
constexpr int kTargetTooLong = 414;
constexpr int kHeadTooLarge = 431;
constexpr int kNotImplemented = 501;
constexpr int kWrongVersion = 505;
constexpr std::size_t kMostDigits = 6;
constexpr std::string_view kForm = "application/x-www-form-urlencoded";

char lower(char character) {
  return character >= 'A' && character <= 'Z' ? static_cast<char>(character - 'A' + 'a')
                                              : character;
}

bool same(std::string_view one, std::string_view other) {
  return one.size() == other.size() &&
         std::equal(one.begin(), one.end(), other.begin(),
                    [](char a, char b) { return lower(a) == lower(b); });
}

// A character of a field's name.
bool is_token(char character) {
  return (lower(character) >= 'a' && lower(character) <= 'z') ||
         (character >= '0' && character <= '9') ||
         std::string_view("!#$%&'*+-.^_`|~").find(character) != std::string_view::npos;
}

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) {
    return {};
  }
  return text.substr(begin, text.find_last_not_of(" \t") + 1 - begin);
}

template <std::size_t size>
bool keep(std::string_view text, std::array<char, size>& place, std::size_t& kept) {
  kept = std::min(text.size(), size);
  std::copy_n(text.begin(), kept, place.begin());
  return kept == text.size();
}

}  // namespace

HttpHead::Found HttpHead::refuse(int status) {
  fail(status);
  return Found::refused;
}

bool HttpHead::fail(int status) {
  refusal_ = refusal_ == 0 ? status : refusal_;
  return false;
}

HttpHead::Found HttpHead::push(std::uint8_t byte) {
  if (refusal_ != 0) {
    return Found::refused;
  }
  if (++size_ > kMostHead) {
    return refuse(kHeadTooLarge);
  }
  if (byte == '\n' || returned_) {
    if (byte != '\n' || !returned_) {
      return refuse(kBadRequest);
    }
    returned_ = false;
    return end_line();
  }
  if (byte == '\r') {
    returned_ = true;
    return Found::nothing;
  }
  if ((byte < ' ' && byte != '\t') || byte == 0x7F) {
    return refuse(kBadRequest);
  }
  if (line_size_ < line_.size()) {
    line_[line_size_] = static_cast<char>(byte);
  }
  ++line_size_;
  return Found::nothing;
}

HttpHead::Found HttpHead::end_line() {
  const std::string_view line(line_.data(), std::min(line_size_, line_.size()));
  if (!begun_) {
    begun_ = true;
    if (!take_request(line)) {
      return Found::refused;
    }
  } else if (line.empty()) {
    return needs_host_ && !has_host_ ? refuse(kBadRequest) : Found::whole;
  } else if (!take_field(line)) {
    return Found::refused;
  }
  line_size_ = 0;
  return Found::nothing;
}

bool HttpHead::take_request(std::string_view line) {
  if (line_size_ > line_.size()) {
    return fail(kTargetTooLong);
  }
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == std::string_view::npos || last <= first + 1) {
    return fail(kBadRequest);
  }
  const std::string_view method = line.substr(0, first);
  const std::string_view target = line.substr(first + 1, last - first - 1);
  const std::string_view version = line.substr(last + 1);
  if (target.find_first_of(" \t") != std::string_view::npos) {
    return fail(kBadRequest);
  }
  needs_host_ = version == "HTTP/1.1";
  if (!needs_host_ && version != "HTTP/1.0") {
    return fail(version.substr(0, 5) == "HTTP/" ? kWrongVersion : kBadRequest);
  }
  if (method == "GET") {
    method_ = Method::get;
  } else if (method == "HEAD") {
    method_ = Method::head;
  } else if (method == "POST") {
    method_ = Method::post;
  } else {
    return fail(kNotImplemented);
  }
  keep(target.substr(0, target.find('?')), path_, path_size_);
  return true;
}

bool HttpHead::take_field(std::string_view line) {
  const std::size_t colon = line.find(':');
  const std::string_view name = line.substr(0, colon);
  if (colon == std::string_view::npos || name.empty() ||
      !std::all_of(name.begin(), name.end(), is_token)) {
    return fail(kBadRequest);
  }
  return take_known(name, trimmed(line.substr(colon + 1)));
}

bool HttpHead::take_known(std::string_view name, std::string_view value) {
  const bool whole = line_size_ <= line_.size();
  if (same(name, "Host")) {
    const bool kept = whole && !has_host_ && keep(value, host_, host_size_);
    has_host_ = true;
    return kept || fail(kBadRequest);
  }
  if (same(name, "Origin")) {
    return (whole && origin_size_ == 0 && keep(value, origin_, origin_size_)) ||
           fail(kBadRequest);
  }
  if (same(name, "Content-Length")) {
    return whole ? take_length(value) : fail(kBadRequest);
  }
  if (same(name, "Content-Type")) {
    is_form_ = same(trimmed(value.substr(0, value.find(';'))), kForm);
  }
  return !same(name, "Transfer-Encoding") || fail(kNotImplemented);
}

bool HttpHead::take_length(std::string_view value) {
  if (has_length_ || value.empty() ||
      !std::all_of(value.begin(), value.end(), [](char c) { return c >= '0' && c <= '9'; })) {
    return fail(kBadRequest);
  }
  if (value.size() > kMostDigits) {
    return fail(kTooLarge);
  }
  has_length_ = true;
  for (const char digit : value) {
    content_length_ = 10 * content_length_ + static_cast<std::size_t>(digit - '0');
  }
  return true;
}

}  // namespace noctis
