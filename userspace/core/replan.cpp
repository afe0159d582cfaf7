// SPDX-License-Identifier: Apache-2.0
// ClusterState::replan(): plans what is dirty and hands out the difference.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/cluster_state.h"
#include "core/frontends.h"
#include "core/planner.h"

namespace topolb::core {
namespace {

Problem conflict(const ServicePortKey& loser, const FrontendAddress& frontend,
                 const Claimant& winner) {
  return {"Service", loser.service.namespace_name, loser.service.name, "FrontendConflict",
          fmt::format("port {}: {}/{} already belongs to port {} of Service {}/{}", loser.port,
                      frontend.socket_address.to_string(), to_string(frontend.protocol),
                      winner.port, winner.service->namespace_name, winner.service->name)};
}

}  // namespace

void ClusterState::forget_reused_placements() {
  const auto reuses = pools_->placements.reuses();
  if (std::exchange(known_reuses_, reuses) != reuses) facts_.forget_all();
}

std::vector<Operation> ClusterState::replan() {
  if (!changed_nodes_.empty()) mark_those_on_changed_nodes();
  forget_reused_placements();
  std::sort(dirty_.begin(), dirty_.end(),
            [](const NamedEntry* a, const NamedEntry* b) { return a->first < b->first; });
  const NodeView view = node_view();
  Planner planner(view, facts_);
  last_replanned_.clear();
  std::vector<SharedPlan> before;
  std::vector<SharedPlan> after;
  before.reserve(dirty_.size());
  after.reserve(dirty_.size());
  for (NamedEntry* entry : dirty_) {
    auto& plans = entry->second.plans;
    if (entry->second.service || !plans.empty()) {
      last_replanned_.push_back(entry->first);
    }
    before.insert(before.end(), plans.begin(), plans.end());
    plan_entry(*entry, planner);
    after.insert(after.end(), plans.begin(), plans.end());
  }
  plan_size_ = plan_size_ + after.size() - before.size();
  forget_empty_entries();
  facts_.trim();
  return diff(before, after);
}

void ClusterState::plan_entry(NamedEntry& named, Planner& planner) {
  ServiceEntry& entry = named.second;
  ServicePlan plan;
  if (entry.service && is_served(*entry.service)) {
    plan = planner.plan(*entry.service, keys_of(entry), entry.endpoints);
  }
  leave_lost_frontends_out(named, plan);
  std::vector<SharedPlan> shared;
  shared.reserve(plan.ports.size());
  for (ServicePortPlan& port : plan.ports) {
    shared.push_back(std::make_shared<const ServicePortPlan>(std::move(port)));
  }
  entry.plans = std::move(shared);
  entry.problems = std::move(plan.problems);
  note_problems(named);
}

void ClusterState::note_problems(const NamedEntry& entry) {
  if (entry.second.problems.empty()) {
    troubled_.erase(&entry);
  } else {
    troubled_.insert(&entry);
  }
}

void ClusterState::leave_lost_frontends_out(const NamedEntry& entry, ServicePlan& plan) {
  if (!claims_.any_conflict()) return;  // everybody has got what it claims
  bool lost = false;
  for (ServicePortPlan& port : plan.ports) {
    const Claimant self{&entry.first, port.key.port};
    const auto lost_here = std::erase_if(port.frontends, [&](const Frontend& frontend) {
      const FrontendAddress address{{frontend.address, frontend.port}, port.key.protocol};
      const Claimant& winner = claims_.winner(address);
      if (winner == self) return false;
      plan.problems.push_back(conflict(port.key, address, winner));
      return true;
    });
    if (lost_here == 0) continue;
    lost = true;
    if (!has_external_frontend(port.frontends)) {
      port.external.reset();
      port.node_external.reset();
    }
  }
  if (lost) std::sort(plan.problems.begin(), plan.problems.end());
}

void ClusterState::forget_empty_entries() {
  for (NamedEntry* entry : dirty_) {
    entry->second.dirty = false;
    if (entry->second.service || !entry->second.endpoints.empty()) continue;
    services_.erase(services_.find(entry->first));
  }
  dirty_.clear();
}

}  // namespace topolb::core
