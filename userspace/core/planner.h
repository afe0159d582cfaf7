// SPDX-License-Identifier: Apache-2.0
// Plans many Services against one state of the Nodes: what they share is computed once.
// Private to core.
#pragma once

#include <vector>

#include "core/key_matcher.h"
#include "core/placement_facts.h"
#include "core/plan.h"

namespace topolb::core {

/// The NodeView and the facts, which are of the same cluster state and node as it, must outlive it;
/// the Nodes must not change meanwhile. All endpoints must be of one cluster state.
class Planner {
 public:
  Planner(const NodeView& node, PlacementFacts& facts) : node_(node), facts_(facts) {}

  /// `keys` is topology_keys_of(service). See plan_service().
  ServicePlan plan(const Service& service, const TopologyKeys& keys,
                   const ServiceEndpoints& endpoints);

 private:
  TrafficPlan shared_traffic(const TopologyKeys& keys, const std::vector<PortEndpoint>& endpoints);
  void plan_traffic(const Service& service, const TopologyKeys& keys,
                    const std::vector<PortEndpoint>& endpoints, ServicePortPlan& plan);
  void plan_backends(const std::vector<PortEndpoint>& endpoints, ServicePortPlan& plan);
  Place place_of(const PortEndpoint& endpoint);

  const NodeView& node_;
  PlacementFacts& facts_;
};

}  // namespace topolb::core
