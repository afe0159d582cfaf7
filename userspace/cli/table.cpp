// SPDX-License-Identifier: Apache-2.0
#include "cli/table.h"

#include <algorithm>
#include <numeric>

#include "cli/text.h"

namespace topolb::cli {
namespace {

constexpr std::size_t kGap = 2;
constexpr std::size_t kLineHang = 2;
/// What a column of texts keeps, or its header's width, while others can give way,
constexpr std::size_t kLeastTextWidth = 12;
/// and what every column keeps.
constexpr std::size_t kLeastWidth = 8;

const std::vector<std::string>* as_list(const TableCell& cell) {
  return std::get_if<std::vector<std::string>>(&cell);
}

void print_line(std::ostream& out, const std::string& text, std::size_t indent) {
  std::size_t here = indent;
  for (const auto& piece : wrap(printable(text), kTextWidth - indent - kLineHang)) {
    out << std::string(here, ' ') << piece << '\n';
    here = indent + kLineHang;
  }
}

std::string cell_text(const TableCell& cell, std::size_t width) {
  if (const auto* list = as_list(cell)) return printable(shortened(*list, width));
  return printable(std::get<std::string>(cell));
}

}  // namespace

std::size_t Table::width_at(std::size_t column, std::size_t list_width) const {
  std::size_t width = columns_[column].header.size();
  for (const auto& row : rows_) {
    if (row.cells.empty()) continue;
    width = std::max(width, display_width(cell_text(row.cells[column], list_width)));
  }
  return width;
}

bool Table::has_lists(std::size_t column) const {
  return std::any_of(rows_.begin(), rows_.end(), [&](const Row& row) {
    return !row.cells.empty() && as_list(row.cells[column]) != nullptr;
  });
}

void Table::shrink(std::vector<std::size_t>& widths, const std::vector<std::size_t>& least) const {
  std::vector<std::size_t> widest_first(widths.size());
  std::iota(widest_first.begin(), widest_first.end(), 0);
  std::stable_sort(widest_first.begin(), widest_first.end(),
                   [&](std::size_t a, std::size_t b) { return widths[a] > widths[b]; });
  for (const std::size_t column : widest_first) {
    const std::size_t total =
        std::accumulate(widths.begin(), widths.end(), indent_ + kGap * (widths.size() - 1));
    if (total <= kTextWidth) return;
    const std::size_t excess = std::min(total - kTextWidth, widths[column]);
    widths[column] = std::min(widths[column], std::max(least[column], widths[column] - excess));
  }
}

std::vector<std::size_t> Table::fitted_widths() const {
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    widths.push_back(width_at(i, std::string::npos));
  }
  // Lists give way first, then texts, and when it must be all of them.
  auto least_with_short_lists = widths;
  auto least_with_wrapped_texts = widths;
  std::vector<std::size_t> least;
  for (std::size_t i = 0; i < widths.size(); ++i) {
    const std::size_t header = columns_[i].header.size();
    least.push_back(std::max(header, kLeastWidth));
    if (has_lists(i)) {
      least_with_short_lists[i] = width_at(i, 0);
      least_with_wrapped_texts[i] = least_with_short_lists[i];
    } else {
      least_with_wrapped_texts[i] = std::max(header, kLeastTextWidth);
    }
  }
  shrink(widths, least_with_short_lists);
  shrink(widths, least_with_wrapped_texts);
  shrink(widths, least);
  // A shortened list seldom needs all of what it was given.
  for (std::size_t i = 0; i < widths.size(); ++i) {
    if (has_lists(i)) widths[i] = std::min(widths[i], width_at(i, widths[i]));
  }
  return widths;
}

void Table::print_row(std::ostream& out, const std::vector<TableCell>& cells,
                      const std::vector<std::size_t>& widths) const {
  std::vector<std::vector<std::string>> lines_of;
  std::size_t height = 1;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    lines_of.push_back(wrap(cell_text(cells[i], widths[i]), widths[i]));
    height = std::max(height, lines_of.back().size());
  }
  for (std::size_t line = 0; line < height; ++line) {
    std::string text(indent_, ' ');
    for (std::size_t i = 0; i < cells.size(); ++i) {
      const std::string piece = line < lines_of[i].size() ? lines_of[i][line] : "";
      const std::string padding(widths[i] - std::min(widths[i], display_width(piece)), ' ');
      text += columns_[i].align == Align::Right ? padding + piece : piece + padding;
      text += std::string(kGap, ' ');
    }
    text.erase(text.find_last_not_of(' ') + 1);
    out << text << '\n';
  }
}

void Table::print(std::ostream& out) const {
  const auto widths = fitted_widths();
  std::vector<TableCell> headers;
  bool any_header = false;
  for (const auto& column : columns_) {
    headers.emplace_back(column.header);
    any_header = any_header || !column.header.empty();
  }
  if (any_header) print_row(out, headers, widths);
  for (const auto& row : rows_) {
    if (row.cells.empty()) {
      print_line(out, row.line, row.line_indent);
    } else {
      print_row(out, row.cells, widths);
    }
  }
}

}  // namespace topolb::cli
