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

/// How large the maps of a table are that has room for `flows`: three eighths more rows. With a
/// quarter more, one new flow in 100,000 finds both its lines full when that many come and go.
topolb_flow_facts flow_facts_for(std::uint32_t flows, std::uint64_t seed);

/// Not thread-safe against itself; any number of them may be open.
class FlowTable {
 public:
  /// Opens "flows", "flow_index", "flow_replies", "flow_facts". `settings` holds the addresses that
  /// masqueraded flows have; it must outlive the table.
  static Result<FlowTable> open(const std::function<Result<UniqueFd>(const std::string&)>& open,
                                Access access, const topolb_settings& settings);
  /// The one below `pin_path`. Error no_such_file_or_directory: no per-packet path was ever on.
  static Result<FlowTable> open_pinned(const std::string& pin_path, Access access,
                                       const topolb_settings& settings);

  [[nodiscard]] const topolb_flow_facts& facts() const { return facts_[0]; }
  /// Rows.
  [[nodiscard]] std::uint32_t capacity() const { return facts().lines * TOPOLB_FLOW_WAYS; }
  /// Flows that there is room for: as flow_facts_for() was asked, or a few more.
  [[nodiscard]] std::uint32_t room() const {
    return static_cast<std::uint32_t>((std::uint64_t{capacity()} * 8 + 10) / 11);
  }
  /// Rows that are not free, of `lines` lines.
  [[nodiscard]] std::uint32_t count(std::uint32_t first_line, std::uint32_t lines) const;
  [[nodiscard]] std::uint32_t count() const { return count(0, facts().lines); }
  /// Slots of flow_replies that are not free: as many as there are flows, when all is at rest.
  [[nodiscard]] std::uint32_t reply_count() const;
  /// A copy of the flow in a row as it was at one moment; none: the row is free or being written.
  [[nodiscard]] std::optional<topolb_flow> read(std::uint32_t flow_id) const;
  /// Every flow. One that comes or goes meanwhile may be left out.
  void for_each(const std::function<void(std::uint32_t flow_id, const topolb_flow&)>& visit) const;

  /// The client's, or the node's.
  [[nodiscard]] const topolb_address& address_seen_by_backend(const topolb_flow& flow) const;

  /// Removes the flow that was read as `flow`. False: it is gone already, or is another one now.
  bool remove(std::uint32_t flow_id, const topolb_flow& flow);
  /// Adds a flow of another table. False: its key is here, or there is no room.
  bool insert(const topolb_flow& flow);

  /// A row in place, for tests.
  topolb_flow& row(std::uint32_t flow_id) { return flows_[flow_id]; }
  std::uint32_t& slot(std::uint32_t flow_id) {
    return index_[flow_id / TOPOLB_FLOW_WAYS].slots[flow_id % TOPOLB_FLOW_WAYS];
  }

  /// Clears slots of replies [first, first + count) of flow_replies that belong to no flow (the
  /// node's address has changed since).
  void sweep_replies(std::uint32_t first, std::uint32_t count);
  /// Rows that somebody has taken and not given back, as (id, generation). Programs need no
  /// microsecond for that: an agent was killed meanwhile.
  [[nodiscard]] std::vector<std::pair<std::uint32_t, std::uint16_t>> taken(
      std::uint32_t first_line, std::uint32_t count) const;
  /// Frees such rows, after a grace period, if they are still what they were.
  void free_taken(const std::vector<std::pair<std::uint32_t, std::uint16_t>>& rows);

 private:
  FlowTable() = default;
  [[nodiscard]] std::uint32_t load_slot(std::uint32_t flow_id) const;
  [[nodiscard]] topolb_flow_place clients_place(const topolb_flow& flow) const;
  [[nodiscard]] topolb_flow_place reply_place(const topolb_flow& flow) const;
  [[nodiscard]] bool has_same_reply(const topolb_flow& a, const topolb_flow& b) const;
  [[nodiscard]] bool has_client_key(const topolb_flow_place& place, const topolb_flow& flow) const;
  std::optional<std::uint32_t> take_row(const topolb_flow_place& place);
  bool add_reply(const topolb_flow& flow, std::uint32_t flow_id);
  void drop_reply(const topolb_flow& flow, std::uint32_t flow_id);

  MappedArray<topolb_flow> flows_;
  MappedArray<topolb_flow_line> index_;
  MappedArray<topolb_flow_line> replies_;
  MappedArray<topolb_flow_facts> facts_;
  const topolb_settings* settings_ = nullptr;
};

/// CLOCK_MONOTONIC as topolb_flow_time().
std::uint32_t flow_time_now();

/// Whether a flow is over by its timeout at `now`, as the programs judge.
bool is_idle_too_long(const topolb_flow& flow, std::uint32_t now);

}  // namespace topolb::dataplane
