// SPDX-License-Identifier: Apache-2.0
// What one kind of traffic gets, given the endpoints of a Service port. Private to core.
// Source: design.md 3.2 and 3.3; kube-proxy pkg/proxy/topology.go (CategorizeEndpoints).
#pragma once

#include <vector>

#include "core/key_matcher.h"
#include "core/plan.h"

namespace topolb::core {

/// Which hints narrow the ready endpoints under the Cluster policy.
enum class HintUse : std::uint8_t { None, ForNodes, ForZones };

/// All-or-nothing over the ready endpoints; hints of unready ones never count.
HintUse hint_use(const std::vector<PortEndpoint>& endpoints, const NodeView& node);

/// Whether the hints in use allow an endpoint here.
bool hinted_here(const Placement& placement, HintUse use, const NodeView& node);

/// Whether an endpoint is on this node, by its node's name.
bool is_local(const Placement& placement, const NodeView& node);

/// The endpoints below are sorted by backend, as ServiceEndpoints::of_port() gives them.
TrafficPlan cluster_traffic(const std::vector<PortEndpoint>& endpoints, const NodeView& node);
TrafficPlan local_traffic(const std::vector<PortEndpoint>& endpoints, const NodeView& node);
TrafficPlan keyed_traffic(const std::vector<PortEndpoint>& endpoints, KeyMatcher& matcher);

}  // namespace topolb::core
