// SPDX-License-Identifier: Apache-2.0
// Plans many Services against one state of the Nodes: what they share is computed once.
// Private to core.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/key_matcher.h"
#include "core/plan.h"

namespace topolb::core {

/// The NodeView, and the keys and endpoints given to plan(), must outlive it; the Nodes must not
/// change meanwhile. All endpoints must be of one cluster state.
class Planner {
 public:
  explicit Planner(const NodeView& node) : node_(node) {}

  /// `keys` is topology_keys_of(service). See plan_service().
  ServicePlan plan(const Service& service, const TopologyKeys& keys,
                   const ServiceEndpoints& endpoints);

 private:
  KeyMatcher& matcher_of(const std::vector<std::string>& keys);
  void plan_traffic(const Service& service, const TopologyKeys& keys,
                    const std::vector<PortEndpoint>& endpoints, ServicePortPlan& plan);
  void plan_backends(const std::vector<PortEndpoint>& endpoints, ServicePortPlan& plan);
  enum class Place : std::uint8_t { NotLookedAt, Here, Elsewhere, OnNoNode };
  Place place_of(const PortEndpoint& endpoint);

  const NodeView& node_;
  std::vector<Place> places_;  // by a placement's id
  std::map<std::vector<std::string>, KeyMatcher> matchers_;
};

}  // namespace topolb::core
