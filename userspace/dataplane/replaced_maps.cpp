// SPDX-License-Identifier: Apache-2.0
#include "dataplane/replaced_maps.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <vector>

#include "dataplane/allocator.h"
#include "dataplane/frontend_table.h"
#include "dataplane/grace_period.h"
#include "dataplane/kernel_state.h"

namespace topolb::dataplane {
namespace {

template <typename Row>
void copy_rows(const MappedArray<Row>& from, MappedArray<Row>& to) {
  std::copy(from.rows().begin(), from.rows().end(), &to[0]);
}

// Else it is the same one.
template <typename Key, typename Value>
Result<void> copy_if_larger(const HashMap<Key, Value>& from, HashMap<Key, Value>& to) {
  if (to.capacity() <= from.capacity()) return {};
  for (const auto& [key, value] : from.entries()) {
    if (auto put = to.put(key, value); !put) return put;
  }
  return {};
}

/// Puts sets into a larger map. Only frontends know their ids, and nobody reads the larger map yet:
/// here, and only here, sets can move (docs/decisions/0060).
class SetMover {
 public:
  /// @pre `to` is empty, and as large or larger
  SetMover(const MappedArray<topolb_set>& from, MappedArray<topolb_set>& to)
      : from_(from), to_(to), ids_(to.capacity()), new_ids_(from.capacity()) {}

  /// The new id of a set. One that has none yet is put near row `near`, and what is chained to it
  /// behind it. 0: there is no such set.
  std::uint32_t move(std::uint32_t set, std::uint32_t near) {
    if (set == 0 || set >= new_ids_.size()) return 0;
    if (new_ids_[set] == 0) {
      const auto id = *ids_.allocate_near(near);  // there are as many rows, and none moves twice
      new_ids_[set] = id;
      to_[id] = from_[set];
      to_[id].next_set = move(from_[set].next_set, id + 1);
    }
    return new_ids_[set];
  }

 private:
  const MappedArray<topolb_set>& from_;
  MappedArray<topolb_set>& to_;
  RunAllocator ids_;
  std::vector<std::uint32_t> new_ids_;  // by the old ones; 0: none yet
};

// Where a row stands, and near which row its sets are looked for, depends on how large maps are.
// Kinds of traffic that share a set have it near the ClusterIP, as Publisher has it placed.
Result<void> copy_frontends(const KernelMaps& from, KernelMaps& to) {
  FrontendTable table(to.frontends, to.settings[0]);
  SetMover sets(from.sets, to.sets);
  auto rows = live_frontends(from.frontends);
  std::ranges::stable_partition(
      rows, [](const auto& row) { return row.kind == TOPOLB_FRONTEND_CLUSTER_IP; });
  for (auto& row : rows) {
    const auto near = table.near_row(key_of(row), to.sets.capacity());
    row.inside_set = sets.move(row.inside_set, near);
    row.outside_set = sets.move(row.outside_set, near);
    if (!table.put(row)) return make_error("no room for a frontend in the larger map");
  }
  return {};
}

bool is_same_backend(const topolb_backend& a, const topolb_backend& b) {
  return std::memcmp(&a, &b, offsetof(topolb_backend, state)) == 0;
}

}  // namespace

Result<void> copy_entries(const KernelMaps& from, KernelMaps& to) {
  copy_rows(from.backends, to.backends);
  copy_rows(from.slots, to.slots);
  copy_rows(from.service_names, to.service_names);
  auto copied = copy_if_larger(from.affinities, to.affinities);
  if (copied) copied = copy_if_larger(from.source_ranges, to.source_ranges);
  return copied ? copy_frontends(from, to) : copied;
}

void ReplacedMaps::add_changes_to(KernelMaps& to) const {
  wait_for_running_programs();
  to.counters.add(counts_, maps_.counters.values());
  for (std::uint32_t id = 0; id < maps_.backends.capacity(); ++id) {
    const topolb_backend& before = maps_.backends[id];
    topolb_backend& now = to.backends[id];
    if (before.state == now.state || before.state == TOPOLB_BACKEND_FREE ||
        now.state == TOPOLB_BACKEND_FREE || !is_same_backend(before, now)) {
      continue;
    }
    std::atomic_ref(now.state).store(before.state, std::memory_order_relaxed);
  }
}

}  // namespace topolb::dataplane
