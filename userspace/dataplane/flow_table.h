// SPDX-License-Identifier: Apache-2.0
// The flow table of the per-packet path, seen from userspace: counted, listed, tidied up, carried
// over to another table, while the programs work on it. maps/flow_table.h says how.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/bpf_map.h"
#include "maps/flow_table.h"
#include "util/result.h"
#include "util/unique_fd.h"

namespace topolb::dataplane {

/// How large the maps of a table are that has room for `flows`.
topolb_flow_facts flow_facts_for(std::uint32_t flows, std::uint64_t seed);

/// Not thread-safe against itself; any number of them may be open.
class FlowTable {
 public:
  /// Opens "flows", "flow_rows", "flow_index", "flow_facts". `settings` holds the addresses that
  /// masqueraded flows have; it must outlive the table.
  static Result<FlowTable> open(const std::function<Result<UniqueFd>(const std::string&)>& open,
                                Access access, const topolb_settings& settings);
  /// The one below `pin_path`. Error no_such_file_or_directory: no per-packet path was ever on.
  static Result<FlowTable> open_pinned(const std::string& pin_path, Access access,
                                       const topolb_settings& settings);

  [[nodiscard]] const topolb_flow_facts& facts() const { return facts_[0]; }
  /// Rows: flows that there is room for, as flow_facts_for() was asked, or a few more.
  [[nodiscard]] std::uint32_t capacity() const {
    return facts().row_lines * TOPOLB_FLOW_ROWS_PER_LINE;
  }
  /// Rows that are not free.
  [[nodiscard]] std::uint32_t count() const;
  /// Slots of the index that are not free: two for each flow, one for a direct one, when all is at
  /// rest.
  [[nodiscard]] std::uint32_t slot_count() const;
  [[nodiscard]] bool is_taken(std::uint32_t flow_id) const;
  /// A copy of the flow in a row as it was at one moment; none: the row is free or being written.
  [[nodiscard]] std::optional<topolb_flow> read(std::uint32_t flow_id) const;
  /// Every flow. One that comes or goes meanwhile may be left out.
  void for_each(const std::function<void(std::uint32_t flow_id, const topolb_flow&)>& visit) const;

  /// The client's, or the node's.
  [[nodiscard]] const topolb_address& address_seen_by_backend(const topolb_flow& flow) const;

  /// Removes the flow that was read as `flow`. False: it is gone already, or is another one now.
  bool remove(std::uint32_t flow_id, const topolb_flow& flow);
  /// Adds a flow of another table. Returns its id; none: a key of it is here, or there is no room.
  std::optional<std::uint32_t> insert(const topolb_flow& flow);

  /// A row in place, while others may write it.
  topolb_flow& row(std::uint32_t flow_id) { return flows_[flow_id]; }
  /// A line of the index in place, for tests.
  topolb_flow_line& line(std::uint32_t number) { return index_[number]; }

  /// Clears slots of lines [first, first + count) of the index that belong to no flow: an agent was
  /// killed while it removed one.
  void sweep_slots(std::uint32_t first, std::uint32_t count);
  /// Rows that somebody has taken and not given back, as (id, generation). Programs need no
  /// microsecond for that: an agent was killed meanwhile.
  [[nodiscard]] std::vector<std::pair<std::uint32_t, std::uint16_t>> taken(
      std::uint32_t first_row, std::uint32_t count) const;
  /// Frees such rows, after a grace period, if they are still what they were.
  void free_taken(const std::vector<std::pair<std::uint32_t, std::uint16_t>>& rows);

 private:
  FlowTable() = default;
  [[nodiscard]] __u64& taken_word(std::uint32_t flow_id);
  [[nodiscard]] std::uint64_t clients_hash(const topolb_flow& flow) const;
  [[nodiscard]] std::uint64_t reply_hash(const topolb_flow& flow) const;
  [[nodiscard]] topolb_flow_place place_of(std::uint64_t hash) const;
  [[nodiscard]] bool has_same_reply(const topolb_flow& a, const topolb_flow& b) const;
  [[nodiscard]] bool may_stand_in(std::uint32_t line, std::uint32_t slot) const;
  std::optional<std::uint32_t> take_row();
  void free_row(std::uint32_t flow_id);
  using SameKey = std::function<bool(const topolb_flow& other)>;
  bool add_slot(std::uint64_t hash, std::uint32_t flow_id, const SameKey& has_same_key);
  void drop_slot(std::uint64_t hash, std::uint32_t flow_id);
  void drop_slots(const topolb_flow& flow, std::uint32_t flow_id);

  MappedArray<topolb_flow> flows_;
  MappedArray<topolb_flow_rows> rows_;
  MappedArray<topolb_flow_line> index_;
  MappedArray<topolb_flow_facts> facts_;
  const topolb_settings* settings_ = nullptr;
  std::uint32_t next_line_ = 0;  // of rows_, to look for a free row in
};

/// CLOCK_MONOTONIC as topolb_flow_time().
std::uint32_t flow_time_now();

/// Whether a flow is over by its timeout at `now`, as the programs judge.
bool is_idle_too_long(const topolb_flow& flow, std::uint32_t now);

}  // namespace topolb::dataplane
