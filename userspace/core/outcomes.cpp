// SPDX-License-Identifier: Apache-2.0
#include "core/outcomes.h"

#include <algorithm>
#include <map>
#include <tuple>

namespace topolb::core {
namespace {

Outcome outcome_of(const TrafficPlan& plan) {
  Outcome outcome;
  outcome.verdict = plan.verdict;
  if (const Tier* tier = plan.effective()) {
    if (plan.has_keys) outcome.tier = tier->key;
    outcome.backends = tier->backends;
  }
  return outcome;
}

}  // namespace

const TrafficPlan* internal_of(const ServicePortPlan& plan) { return &plan.internal; }
const TrafficPlan* external_of(const ServicePortPlan& plan) {
  return plan.external ? &*plan.external : nullptr;
}

std::vector<Outcome> outcomes_of(const std::vector<NodeGroup>& groups, std::size_t port,
                                 TrafficOf traffic_of) {
  using Key = std::tuple<Verdict, std::optional<std::string>, std::vector<SocketAddress>>;
  std::map<Key, std::size_t> known;
  std::vector<Outcome> outcomes;
  for (const NodeGroup& group : groups) {
    const TrafficPlan* plan = traffic_of(group.plan.ports[port]);
    if (plan == nullptr) continue;
    Outcome outcome = outcome_of(*plan);
    const auto [entry, is_new] =
        known.try_emplace(Key{outcome.verdict, outcome.tier, outcome.backends}, outcomes.size());
    if (is_new) outcomes.push_back(std::move(outcome));
    auto& nodes = outcomes[entry->second].nodes;
    nodes.insert(nodes.end(), group.nodes.begin(), group.nodes.end());
  }
  // The groups come by their first nodes, so the outcomes do; their nodes are mixed.
  for (Outcome& outcome : outcomes) std::sort(outcome.nodes.begin(), outcome.nodes.end());
  return outcomes;
}

}  // namespace topolb::core
