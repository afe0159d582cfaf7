// SPDX-License-Identifier: Apache-2.0
#include "dataplane/flow_collector.h"

#include <algorithm>
#include <numeric>

#include "dataplane/grace_period.h"

namespace topolb::dataplane {
namespace {

struct Slice {
  std::uint32_t first = 0;
  std::uint32_t count = 0;
};

Slice slice_of(std::uint32_t total, std::uint32_t index) {
  const auto size = (total + FlowCollector::kSlices - 1) / FlowCollector::kSlices;
  const auto first = std::min(size * index, total);
  return {first, std::min(size, total - first)};
}

}  // namespace

FlowCollector::FlowCollector(FlowTable& table) : table_(table) {
  for (std::uint32_t index = 0; index < kSlices; ++index) {
    const auto rows = slice_of(table.capacity(), index);
    for (std::uint32_t row = 0; row < rows.count; ++row) {
      flows_[index] += table.is_taken(rows.first + row) ? 1 : 0;
    }
  }
}

std::uint32_t FlowCollector::tick(std::uint32_t now) {
  const auto index = next_++ % kSlices;
  const auto rows = slice_of(table_.capacity(), index);
  std::uint32_t kept = 0;
  std::uint32_t removed = 0;
  for (auto id = rows.first; id < rows.first + rows.count; ++id) {
    const auto flow = table_.read(id);
    if (!flow) continue;
    const bool over = is_idle_too_long(*flow, now) && table_.remove(id, *flow);
    ++(over ? removed : kept);
  }
  flows_[index] = kept;

  const auto lines = slice_of(table_.facts().lines, index);
  table_.sweep_slots(lines.first, lines.count);

  auto taken = table_.taken(rows.first, rows.count);
  std::vector<std::pair<std::uint32_t, std::uint16_t>> still;
  std::set_intersection(taken.begin(), taken.end(), taken_[index].begin(), taken_[index].end(),
                        std::back_inserter(still));
  if (!still.empty()) {
    wait_for_running_programs();
    table_.free_taken(still);
  }
  taken_[index] = std::move(taken);
  return removed;
}

std::uint32_t FlowCollector::flows() const {
  return std::accumulate(flows_.begin(), flows_.end(), std::uint32_t{0});
}

}  // namespace topolb::dataplane
