// SPDX-License-Identifier: Apache-2.0
// Executes a plan's operations on the maps. The order of writes keeps every connection on a whole
// old or a whole new backend set: rows nobody points at yet, then one 32-bit store, then deletes;
// what was replaced is reused only after a grace period.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/cluster_state.h"
#include "dataplane/frontend_table.h"
#include "dataplane/map_sizes.h"
#include "dataplane/set_writer.h"
#include "dataplane/source_ranges.h"

namespace topolb::dataplane {

/// How full one map is.
struct MapFill {
  std::string name;
  std::uint32_t used = 0;
  std::uint32_t capacity = 0;
};

/// Counters that a Service port has.
std::uint32_t counters_for(const core::ServicePortPlan& plan);

/// Not thread-safe. The maps must outlive it.
class Publisher {
 public:
  explicit Publisher(KernelMaps& maps);

  /// Once, first: takes over what the maps hold (ids stay), brings it to `plan`, and removes all
  /// else. Only for a complete plan: unknown is not empty.
  void take_over(const std::vector<core::SharedPlan>& plan);
  void take_over(const std::vector<core::ServicePortPlan>& plan) { take_over(core::share(plan)); }

  /// Operations are idempotent. What finds no room is kept out, listed in problems(), and tried
  /// again by the next execute(); all else goes on.
  void execute(const std::vector<core::Operation>& operations);

  /// What could not be programmed, by Service (reason MapFull); sorted.
  [[nodiscard]] std::vector<core::Problem> problems() const;

  /// UDP backends that no Service has any more, since the last call.
  std::vector<SocketAddress> take_gone_udp() { return writer_.backends().take_gone_udp(); }

  /// Replaced rows wait for a grace period.
  [[nodiscard]] bool has_retired() const;
  /// Waits for a grace period (some 10 ms) and makes replaced rows free. For idle moments; it also
  /// happens when a table has no other room.
  void reclaim();

  /// Records in the maps that the state as of `now_ns` (CLOCK_REALTIME) is complete.
  void mark_published(std::uint64_t now_ns);
  /// And that nothing the API server said up to `heard_ns` is missing in it; 0: there is no server.
  void mark_heard(std::uint64_t heard_ns);

  [[nodiscard]] std::vector<MapFill> fill() const;
  /// Something found no room, or the next thing may not, in a map that is below its limit.
  [[nodiscard]] bool is_short_of_room(const MapSizes& limits) const;
  /// Raises sizes_needed() of what is published where that finds no room in maps of its size: free
  /// rows in pieces too small, a search for a free row that is too long.
  void add_refused(MapSizes& needed) const;

  /// Those that are served, ascending.
  [[nodiscard]] std::vector<std::uint16_t> node_ports() const;

 private:
  // Set ids of the kinds of traffic; 0: none.
  struct SetIds {
    std::uint32_t internal = 0;
    std::uint32_t external = 0;
    std::uint32_t node_external = 0;
  };
  struct Record {
    std::uint32_t id = 0;  // the first of its rows in service_names
    std::uint32_t name_rows = 0;
    std::uint32_t first_counter = 0;
    std::uint32_t counter_count = 0;
    SetIds sets;
  };

  void apply(const core::PublishService& operation);
  void apply(const core::AddFrontend& operation);
  void apply(const core::RemoveFrontend& operation);
  void apply(const core::RemoveService& operation);

  void restore(const KernelState& state);
  void remove_leftovers(const KernelState& state, const std::vector<core::SharedPlan>& plan);
  Result<void> publish(const core::ServicePortPlan& plan);
  std::vector<std::uint32_t> acquire_known(const std::vector<SocketAddress>& backends,
                                           Protocol protocol);
  Result<Record> record_of(const core::ServicePortPlan& plan, const Record& known);
  Result<void> name(Record& record, const core::ServicePortPlan& plan);
  Result<void> renumber(std::uint32_t from, std::uint32_t to, const core::ServicePortPlan& plan);
  void keep_counters_of_sets(Record& record, const Record& before,
                             const core::ServicePortPlan& plan, bool switched);
  Result<void> switch_sets(Record& record, const core::ServicePortPlan& plan);
  Result<std::uint32_t> place_set(const Record& record, const core::ServicePortPlan& plan,
                                  const core::TrafficPlan& traffic, std::uint32_t current,
                                  const NearRows& near);
  [[nodiscard]] NearRows near_rows(const core::ServicePortPlan& plan, bool is_external) const;
  Result<void> add_frontend(const core::AddFrontend& operation);
  void count_node_port(const core::Frontend& frontend, int change);
  void write_node_ports();
  void retry_failed();
  std::optional<std::uint32_t> allocate(RunAllocator& allocator, std::uint32_t length);

  KernelMaps& maps_;
  SetWriter writer_;
  FrontendTable frontends_;
  SourceRanges source_ranges_;
  RunAllocator service_ids_;
  RunAllocator counter_ids_;
  std::unordered_map<core::ServicePortKey, Record> records_;
  // By service id, where it has any: ids of backends that are in none of its sets.
  std::map<std::uint32_t, std::vector<std::uint32_t>> idle_backends_;
  std::map<std::uint16_t, std::uint32_t> node_ports_;  // port -> frontends
  bool has_affinity_ = false;                          // some Service had
  std::map<core::ServicePortKey, std::pair<core::SharedPlan, Error>> unpublished_;
  std::map<std::pair<core::ServicePortKey, core::Frontend>, Error> unadded_;
};

}  // namespace topolb::dataplane
