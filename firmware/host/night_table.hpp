// Reads one CSV file of a night: a time column t_s and one value column.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace noctis::host {

struct TableRow {
  std::size_t line;  // in the file, from 1
  double t_s;
  std::string value;  // as written, without quotes and surrounding blanks
};

struct Table {
  std::string path;
  std::vector<TableRow> rows;  // ascending in time; rows of one time in the file's order
};

// Reads the columns t_s and `value_column`, which the header line names; other columns, blank
// lines, carriage returns and a byte order mark are passed over. On failure `error` says what
// was wrong and where.
std::optional<Table> read_table(const std::string& path, std::string_view value_column,
                                std::string& error);

// A finite decimal number that fills the whole text.
std::optional<double> parse_number(std::string_view text);

// The text between quotes for a message, cut and without control bytes.
std::string in_quotes(std::string_view text);

// "<path>, line <line>: <what>"
std::string complaint(const Table& table, std::size_t line, const std::string& what);

}  // namespace noctis::host
