#include "night_table.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <tuple>

namespace noctis::host {
namespace {

constexpr double kLongestS = 14.0 * 86400.0;
constexpr std::size_t kLargestFile = 64U << 20U;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view blanks = " \t\r\"";
  const std::size_t first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos) {
    return {};
  }
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

// The fields of a line: commas part them, except between double quotes.
std::vector<std::string_view> fields(std::string_view line) {
  std::vector<std::string_view> result;
  bool quoted = false;
  std::size_t begin = 0;
  for (std::size_t i = 0; i <= line.size(); ++i) {
    if (i < line.size() && line[i] == '"') {
      quoted = !quoted;
    }
    if (i == line.size() || (line[i] == ',' && !quoted)) {
      result.push_back(trimmed(line.substr(begin, i - begin)));
      begin = i + 1;
    }
  }
  return result;
}

std::optional<std::string> read_text(const std::string& path, std::string& error) {
  std::error_code failed;
  const std::uintmax_t size = std::filesystem::file_size(path, failed);
  if (failed) {
    error = path + " cannot be read: " + failed.message();
    return std::nullopt;
  }
  if (size > kLargestFile) {
    error = path + " is larger than 64 MiB: no file of one night is";
    return std::nullopt;
  }
  std::ifstream file(path, std::ios::binary);
  std::string text(size, '\0');
  if (!file.read(text.data(), static_cast<std::streamsize>(size))) {
    error = path + " cannot be read";
    return std::nullopt;
  }
  return text;
}

class Reader {
 public:
  Reader(const std::string& path, std::string_view value_column)
      : value_name_(value_column), table_{path, {}} {}

  // False at the first line that cannot be read; error() then says why.
  bool line(std::string_view text) {
    ++line_;
    if (trimmed(text).empty()) {
      return true;
    }
    const std::vector<std::string_view> parts = fields(text);
    return header_ ? row(parts) : header(parts);
  }
  [[nodiscard]] bool has_header() const { return header_; }
  [[nodiscard]] const std::string& error() const { return error_; }

  Table take() {
    std::sort(table_.rows.begin(), table_.rows.end(), [](const auto& a, const auto& b) {
      return std::tie(a.t_s, a.line) < std::tie(b.t_s, b.line);
    });
    return std::move(table_);
  }

 private:
  bool header(const std::vector<std::string_view>& names) {
    const auto position = [&names](std::string_view name) {
      return static_cast<std::size_t>(std::find(names.begin(), names.end(), name) -
                                      names.begin());
    };
    time_ = position("t_s");
    value_ = position(value_name_);
    header_ = true;
    if (time_ < names.size() && value_ < names.size()) {
      return true;
    }
    return fail("the first line must name the columns t_s and " + std::string(value_name_));
  }

  bool row(const std::vector<std::string_view>& parts) {
    if (time_ >= parts.size() || value_ >= parts.size()) {
      return fail("fewer columns than the header names");
    }
    const std::optional<double> t_s = parse_number(parts[time_]);
    if (!t_s) {
      return fail(in_quotes(parts[time_]) + " in column t_s is no number");
    }
    if (std::fabs(*t_s) > kLongestS) {
      return fail("the time " + in_quotes(parts[time_]) + " is more than 14 days away");
    }
    table_.rows.push_back({line_, *t_s, std::string(parts[value_])});
    return true;
  }

  bool fail(const std::string& what) {
    error_ = complaint(table_, line_, what);
    return false;
  }

  std::string_view value_name_;
  Table table_;
  std::size_t line_ = 0;
  std::size_t time_ = 0;
  std::size_t value_ = 0;
  bool header_ = false;
  std::string error_;
};

}  // namespace

std::optional<Table> read_table(const std::string& path, std::string_view value_column,
                                std::string& error) {
  const std::optional<std::string> text = read_text(path, error);
  if (!text) {
    return std::nullopt;
  }
  std::string_view rest = *text;
  if (rest.substr(0, kByteOrderMark.size()) == kByteOrderMark) {
    rest.remove_prefix(kByteOrderMark.size());
  }
  Reader reader(path, value_column);
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    if (!reader.line(rest.substr(0, end))) {
      error = reader.error();
      return std::nullopt;
    }
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  }
  if (!reader.has_header()) {
    error = path + " is empty: its first line must name the columns t_s and " +
            std::string(value_column);
    return std::nullopt;
  }
  return reader.take();
}

std::optional<double> parse_number(std::string_view text) {
  if (!text.empty() && text.front() == '+') {
    text.remove_prefix(1);
  }
  double value = 0.0;
  const char* const begin = text.data();
  const char* const end = begin + text.size();
  const std::from_chars_result result = std::from_chars(begin, end, value);
  if (result.ec != std::errc() || result.ptr != end || !std::isfinite(value)) {
    return std::nullopt;
  }
  return value;
}

std::string in_quotes(std::string_view text) {
  std::string result = "'";
  for (const char byte : text.substr(0, 40)) {
    const bool printable = byte >= ' ' && byte <= '~';
    result += printable ? byte : '?';
  }
  return result + "'";
}

std::string complaint(const Table& table, std::size_t line, const std::string& what) {
  return table.path + ", line " + std::to_string(line) + ": " + what;
}

}  // namespace noctis::host
