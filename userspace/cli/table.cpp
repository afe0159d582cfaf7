// SPDX-License-Identifier: Apache-2.0
#include "cli/table.h"

#include <algorithm>
#include <numeric>

#include "cli/text.h"

namespace topolb::cli {
namespace {

constexpr std::size_t kGap = 2;
constexpr std::size_t kLineHang = 2;
/// A wrapped column keeps this much, or its header's width.
constexpr std::size_t kLeastTextWidth = 12;

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

std::vector<std::size_t> Table::natural_widths() const {
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    std::size_t width = columns_[i].header.size();
    for (const auto& row : rows_) {
      if (row.cells.empty()) continue;
      width = std::max(width, display_width(cell_text(row.cells[i], std::string::npos)));
    }
    widths.push_back(width);
  }
  return widths;
}

std::size_t Table::least_width(std::size_t column) const {
  std::size_t least = columns_[column].header.size();
  std::size_t widest_text = 0;
  for (const auto& row : rows_) {
    if (row.cells.empty()) continue;
    if (as_list(row.cells[column]) != nullptr) {
      least = std::max(least, display_width(cell_text(row.cells[column], 0)));
    } else {
      widest_text = std::max(widest_text, display_width(cell_text(row.cells[column], 0)));
    }
  }
  return std::max(least, std::min(widest_text, kLeastTextWidth));
}

std::vector<std::size_t> Table::fitted_widths() const {
  auto widths = natural_widths();
  const auto total = [&] {
    return std::accumulate(widths.begin(), widths.end(), indent_ + kGap * (widths.size() - 1));
  };
  const auto has_lists = [&](std::size_t column) {
    return std::any_of(rows_.begin(), rows_.end(), [&](const Row& row) {
      return !row.cells.empty() && as_list(row.cells[column]) != nullptr;
    });
  };
  // Lists give way first, then texts; of each the widest first.
  for (const bool lists : {true, false}) {
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < widths.size(); ++i) {
      if (has_lists(i) == lists) order.push_back(i);
    }
    std::sort(order.begin(), order.end(),
              [&](std::size_t a, std::size_t b) { return widths[a] > widths[b]; });
    for (const std::size_t column : order) {
      const std::size_t width = total();
      if (width <= kTextWidth) return widths;
      const std::size_t excess = std::min(width - kTextWidth, widths[column]);
      widths[column] = std::max(least_width(column), widths[column] - excess);
    }
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
