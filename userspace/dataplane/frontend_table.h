// SPDX-License-Identifier: Apache-2.0
// The frontends array: a hash table that BPF programs search while it is written. A row that is
// given up keeps its key, so that nobody's search ends there, until a grace period has passed.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "dataplane/bpf_map.h"
#include "maps/layout.h"

namespace topolb::dataplane {

/// Lines of the array for so many frontends, at most half of the rows in use.
std::uint32_t frontend_lines_for(std::uint32_t frontends);
/// The reverse: what a map with so many lines is for.
std::uint32_t frontends_for(std::uint32_t lines);

/// Rows that serve somebody, in no order.
std::vector<topolb_frontend_row> live_frontends(const MappedArray<topolb_frontend_line>& lines);

/// Not thread-safe. `lines` and `settings` must outlive the table; settings has the seed, and
/// gets the ports.
class FrontendTable {
 public:
  FrontendTable(MappedArray<topolb_frontend_line>& lines, topolb_settings& settings);

  /// Counts what a kernel's table holds already; once, first.
  void restore();
  /// The row that serves a frontend; null: none does.
  [[nodiscard]] topolb_frontend_row* find(const topolb_frontend& frontend);
  /// Makes `wanted` the one of its frontend, in place of what it was; one store for each of the
  /// sets. False: no room.
  /// @pre it has a set
  bool put(const topolb_frontend_row& wanted);
  /// Gives every row of a Service to another id. Reads the whole table.
  void renumber_service(std::uint32_t from, std::uint32_t to);
  /// Where programs guess at what a frontend leads to, in a map of so many rows
  /// (maps/constants.h).
  [[nodiscard]] std::uint32_t near_row(const topolb_frontend& frontend, std::uint32_t rows) const;
  /// Gives up a row that find() gave.
  void retire(topolb_frontend_row& row);
  /// After a grace period.
  void reclaim();

  [[nodiscard]] bool has_retired() const { return !retired_.empty(); }
  [[nodiscard]] std::uint32_t in_use() const { return in_use_; }
  /// How many rows put() found none for since reclaim().
  [[nodiscard]] std::uint32_t refused() const { return refused_; }
  [[nodiscard]] std::uint32_t capacity() const { return frontends_for(lines_.capacity()); }

 private:
  struct Place {
    std::uint32_t line;
    std::uint32_t row;
  };
  // The line that a search begins in.
  [[nodiscard]] std::uint32_t home_of(const topolb_frontend& frontend) const;
  // Live or given up.
  [[nodiscard]] topolb_frontend_row* search(const topolb_frontend& frontend);
  topolb_frontend_row& at(Place place) { return lines_[place.line].rows[place.row]; }
  [[nodiscard]] std::optional<Place> find_free(std::uint32_t home);
  void clear(Place place);

  MappedArray<topolb_frontend_line>& lines_;
  topolb_settings& settings_;
  // By line: frontends that a search finds only past it. Such a line must not end the search.
  std::vector<std::uint16_t> passed_;
  std::vector<Place> retired_;
  std::uint32_t in_use_ = 0;
  std::uint32_t refused_ = 0;
};

}  // namespace topolb::dataplane
