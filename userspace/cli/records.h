// SPDX-License-Identifier: Apache-2.0
// Rows of named values, printed as a table or as JSON objects: what most commands put out.
#pragma once

#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "cli/json.h"
#include "cli/table.h"

namespace topolb::cli {

struct RecordColumn {
  std::string header;    // "": in JSON only
  std::string json_key;  // "": in the table only
  Align align = Align::Left;
};

/// A value; in a table null is "-", a boolean "yes" or "no", a list of texts a list, unless there
/// is a text for it.
struct RecordCell {
  template <typename T>
  RecordCell(T value) : json(std::move(value)) {}
  RecordCell(Json value, TableCell shown) : json(std::move(value)), text(std::move(shown)) {}

  Json json;
  std::optional<TableCell> text;
};

class Records {
 public:
  explicit Records(std::vector<RecordColumn> columns) : columns_(std::move(columns)) {}

  /// @pre one cell per column.
  void add(std::vector<RecordCell> cells) { rows_.push_back(std::move(cells)); }
  [[nodiscard]] bool empty() const { return rows_.empty(); }
  [[nodiscard]] std::size_t size() const { return rows_.size(); }

  void print_table(std::ostream& out) const;
  /// Each column of a row on a line of its own, for rows that are few and wide.
  void print_facts(std::ostream& out) const;
  [[nodiscard]] Json to_json(std::size_t row) const;
  /// The rows as the list `key` of a document.
  void add_to(JsonDocument& document, const std::string& key) const;

 private:
  std::vector<RecordColumn> columns_;
  std::vector<std::vector<RecordCell>> rows_;
};

}  // namespace topolb::cli
