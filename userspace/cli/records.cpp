// SPDX-License-Identifier: Apache-2.0
#include "cli/records.h"

#include <fmt/format.h>

namespace topolb::cli {
namespace {

TableCell shown(const RecordCell& cell) {
  if (cell.text) return *cell.text;
  if (const auto* text = cell.json.get<std::string>()) return *text;
  if (const auto* number = cell.json.get<std::uint64_t>()) return fmt::format("{}", *number);
  if (const auto* boolean = cell.json.get<bool>()) return *boolean ? "yes" : "no";
  const auto* array = cell.json.get<Json::Array>();
  if (array == nullptr) return "-";
  std::vector<std::string> texts;
  for (const Json& element : *array) {
    if (const auto* text = element.get<std::string>()) texts.push_back(*text);
  }
  return texts;
}

}  // namespace

void Records::print_table(std::ostream& out) const {
  std::vector<TableColumn> columns;
  for (const auto& column : columns_) {
    if (!column.header.empty()) columns.push_back({column.header, column.align});
  }
  Table table(std::move(columns));
  for (const auto& row : rows_) {
    std::vector<TableCell> cells;
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (!columns_[i].header.empty()) cells.push_back(shown(row[i]));
    }
    table.row(std::move(cells));
  }
  table.print(out);
}

void Records::print_facts(std::ostream& out) const {
  Table table({{""}, {""}});
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (!columns_[i].header.empty()) table.row({columns_[i].header, shown(row[i])});
    }
  }
  table.print(out);
}

Json Records::to_json(std::size_t row) const {
  Json::Object object;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    if (!columns_[i].json_key.empty()) {
      object.emplace_back(columns_[i].json_key, rows_[row][i].json);
    }
  }
  return object;
}

void Records::add_to(JsonDocument& document, const std::string& key) const {
  std::vector<std::size_t> indices(rows_.size());
  for (std::size_t i = 0; i < indices.size(); ++i) indices[i] = i;
  document.list(key, indices, [this](std::size_t i) { return to_json(i); });
}

}  // namespace topolb::cli
