// SPDX-License-Identifier: Apache-2.0
// ClusterState::replan(): plans what is dirty and hands out the difference.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
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

// `from` keeps its size.
void append_moved(std::vector<ServicePortPlan>& to, std::vector<ServicePortPlan>& from) {
  to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

template <typename T>
bool contains(const std::vector<T*>& sorted, T* one) {
  return std::binary_search(sorted.begin(), sorted.end(), one);
}

}  // namespace

std::vector<Operation> ClusterState::replan() {
  std::sort(dirty_.begin(), dirty_.end(),
            [](const NamedEntry* a, const NamedEntry* b) { return a->first < b->first; });
  const NodeView view = node_view();
  Planner planner(view);
  last_replanned_.clear();
  std::vector<ServicePortPlan> before;
  std::vector<ServicePortPlan> after;
  before.reserve(dirty_.size());
  after.reserve(dirty_.size());
  for (NamedEntry* entry : dirty_) {
    if (entry->second.service || !entry->second.plans.empty()) {
      last_replanned_.insert(last_replanned_.end(), entry->first);
    }
    append_moved(before, entry->second.plans);
    plan_entry(*entry, planner);
    append_moved(after, entry->second.plans);
  }
  plan_size_ = plan_size_ + after.size() - before.size();
  std::vector<Operation> operations = diff(before, after);
  auto planned = after.begin();
  for (NamedEntry* entry : dirty_) {
    for (ServicePortPlan& plan : entry->second.plans) plan = std::move(*planned++);
  }
  forget_empty_entries();
  return operations;
}

void ClusterState::plan_entry(NamedEntry& named, Planner& planner) {
  ServiceEntry& entry = named.second;
  ServicePlan plan;
  if (entry.service && is_served(*entry.service)) {
    plan = planner.plan(*entry.service, entry.keys, entry.slices);
  }
  entry.plans = std::move(plan.ports);
  entry.problems = std::move(plan.problems);
  leave_lost_frontends_out(named);
  note_problems(named);
  index_backend_nodes(named);
}

void ClusterState::note_problems(const NamedEntry& entry) {
  if (entry.second.problems.empty()) {
    troubled_.erase(&entry);
  } else {
    troubled_.insert(&entry);
  }
}

void ClusterState::leave_lost_frontends_out(NamedEntry& entry) {
  bool lost = false;
  for (ServicePortPlan& plan : entry.second.plans) {
    const Claimant self{&entry.first, plan.key.port};
    const auto lost_here = std::erase_if(plan.frontends, [&](const Frontend& frontend) {
      const FrontendAddress address{{frontend.address, frontend.port}, plan.key.protocol};
      const Claimant& winner = claims_.winner(address);
      if (winner == self) return false;
      entry.second.problems.push_back(conflict(plan.key, address, winner));
      return true;
    });
    if (lost_here == 0) continue;
    lost = true;
    if (!has_external_frontend(plan.frontends)) {
      plan.external.reset();
      plan.node_external.reset();
    }
  }
  if (lost) std::sort(entry.second.problems.begin(), entry.second.problems.end());
}

void ClusterState::index_backend_nodes(NamedEntry& named) {
  ServiceEntry& entry = named.second;
  std::vector<BackendNode*> nodes;
  if (is_keyed(entry)) {
    for (const EndpointSlice* slice : entry.slices) {
      for (const Endpoint& endpoint : slice->endpoints) {
        if (endpoint.node_name.empty()) continue;
        nodes.push_back(&*keyed_by_backend_node_.try_emplace(endpoint.node_name).first);
      }
    }
    std::sort(nodes.begin(), nodes.end());
    nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
    nodes.shrink_to_fit();
  }
  if (nodes == entry.backend_nodes) return;
  for (BackendNode* node : nodes) {
    if (!contains(entry.backend_nodes, node)) node->second.push_back(&named);
  }
  for (BackendNode* node : entry.backend_nodes) {
    if (contains(nodes, node)) continue;
    std::vector<NamedEntry*>& services = node->second;
    std::swap(*std::find(services.begin(), services.end(), &named), services.back());
    services.pop_back();
    if (services.empty()) keyed_by_backend_node_.erase(keyed_by_backend_node_.find(node->first));
  }
  entry.backend_nodes = std::move(nodes);
}

void ClusterState::forget_empty_entries() {
  for (NamedEntry* entry : dirty_) {
    entry->second.dirty = false;
    if (entry->second.service || !entry->second.slices.empty()) continue;
    services_.erase(services_.find(entry->first));
  }
  dirty_.clear();
}

}  // namespace topolb::core
