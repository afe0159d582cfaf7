// SPDX-License-Identifier: Apache-2.0
#include "dataplane/flow_move.h"

#include <atomic>
#include <utility>

namespace topolb::dataplane {

FlowMove::FlowMove(const FlowTable& from, FlowTable& to, std::function<bool(topolb_flow&)> admit)
    : from_(from), to_(to), admit_(std::move(admit)) {}

void FlowMove::begin() {
  from_.for_each([this](std::uint32_t id, const topolb_flow& flow) { copy(id, flow); });
}

void FlowMove::finish() {
  // First the room and the keys of those that have ended.
  const auto copies = std::exchange(copies_, {});
  for (const auto& copy : copies) {
    const auto now = from_.read(copy.from_id);
    if (now && now->generation == copy.from_generation) {
      bring_along(copy, *now);
    } else {
      take_away(copy);
    }
  }
  auto known = copies.begin();
  from_.for_each([&](std::uint32_t id, const topolb_flow& flow) {
    while (known != copies.end() && known->from_id < id) ++known;
    const bool is_copied =
        known != copies.end() && known->from_id == id && known->from_generation == flow.generation;
    if (!is_copied) copy(id, flow);
  });
}

void FlowMove::copy(std::uint32_t from_id, topolb_flow flow) {
  const auto from_generation = flow.generation;
  if (!admit_(flow)) return;
  const auto id = to_.insert(flow);
  if (!id) return;
  copies_.push_back({.from_id = from_id,
                     .id = *id,
                     .from_generation = from_generation,
                     .generation = to_.row(*id).generation,
                     .touched_tick = flow.touched_tick,
                     .fin_ends = {flow.hops[0].fin_end, flow.hops[1].fin_end},
                     .touched = flow.touched,
                     .state = flow.state});
}

// Programs may change the same fields meanwhile: `state` by atomic operations, too, and where they
// have been faster with the others, theirs are newer.
void FlowMove::bring_along(const Copy& copy, const topolb_flow& now) {
  topolb_flow& row = to_.row(copy.id);
  if (std::atomic_ref(row.generation).load(std::memory_order_acquire) != copy.generation) return;
  std::atomic_ref state(row.state);
  state.fetch_or(now.state & ~copy.state);
  state.fetch_and(~(copy.state & ~now.state));
  for (std::size_t way = 0; way < copy.fin_ends.size(); ++way) {
    auto expected = copy.fin_ends[way];
    std::atomic_ref(row.hops[way].fin_end).compare_exchange_strong(expected, now.hops[way].fin_end);
  }
  auto expected = copy.touched;
  if (std::atomic_ref(row.touched).compare_exchange_strong(expected, now.touched)) {
    std::atomic_ref(row.touched_tick).store(now.touched_tick, std::memory_order_relaxed);
  }
}

void FlowMove::take_away(const Copy& copy) {
  const auto row = to_.read(copy.id);
  const bool is_as_copied = row && row->generation == copy.generation && row->state == copy.state &&
                            row->touched == copy.touched && row->touched_tick == copy.touched_tick;
  if (is_as_copied) (void)to_.remove(copy.id, *row);
}

}  // namespace topolb::dataplane
