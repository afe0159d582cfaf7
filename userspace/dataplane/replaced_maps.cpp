// SPDX-License-Identifier: Apache-2.0
#include "dataplane/replaced_maps.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "dataplane/frontend_table.h"
#include "dataplane/grace_period.h"

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

// Where a row stands depends on how many lines there are.
Result<void> copy_frontends(const KernelMaps& from, KernelMaps& to) {
  FrontendTable table(to.frontends, to.settings[0]);
  for (const auto& row : live_frontends(from.frontends)) {
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
  copy_rows(from.sets, to.sets);
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
