// SPDX-License-Identifier: Apache-2.0
// Aligned columns within kTextWidth, two blanks apart, without rules and trailing blanks. What is
// too wide: first lists are shortened to "first, second +N more", then texts are wrapped within
// their column.
#pragma once

#include <ostream>
#include <string>
#include <variant>
#include <vector>

namespace topolb::cli {

enum class Align : std::uint8_t { Left, Right };

struct TableColumn {
  std::string header;
  Align align = Align::Left;
};

/// A text, or a list that may be shortened.
using TableCell = std::variant<std::string, std::vector<std::string>>;

class Table {
 public:
  /// All headers empty: no header line.
  explicit Table(std::vector<TableColumn> columns, std::size_t indent = 0)
      : columns_(std::move(columns)), indent_(indent) {}

  /// @pre one cell per column.
  void row(std::vector<TableCell> cells) { rows_.push_back({std::move(cells), {}, 0}); }
  /// A line across the columns, wrapped; further lines of it are indented by two more.
  void line(std::string text, std::size_t indent) {
    rows_.push_back({{}, std::move(text), indent});
  }
  [[nodiscard]] bool empty() const { return rows_.empty(); }
  void print(std::ostream& out) const;

 private:
  struct Row {
    std::vector<TableCell> cells;  // empty: a line
    std::string line;
    std::size_t line_indent = 0;
  };

  /// The width of a column whose lists are shortened to `list_width`.
  [[nodiscard]] std::size_t width_at(std::size_t column, std::size_t list_width) const;
  [[nodiscard]] std::vector<std::size_t> fitted_widths() const;
  [[nodiscard]] bool has_lists(std::size_t column) const;
  /// The widest columns first, each to its `least`, until all fit.
  void shrink(std::vector<std::size_t>& widths, const std::vector<std::size_t>& least) const;
  void print_row(std::ostream& out, const std::vector<TableCell>& cells,
                 const std::vector<std::size_t>& widths) const;

  std::vector<TableColumn> columns_;
  std::size_t indent_;
  std::vector<Row> rows_;
};

}  // namespace topolb::cli
