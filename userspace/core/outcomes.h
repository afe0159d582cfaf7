// SPDX-License-Identifier: Apache-2.0
// The outcomes of one kind of traffic over all groups of nodes. Private to core.
#pragma once

#include <vector>

#include "core/traffic_spread.h"

namespace topolb::core {

/// The plan of one kind of traffic to the Service port at `port` of each group; null: it has none.
using TrafficOf = const TrafficPlan* (*)(const ServicePortPlan&);
const TrafficPlan* internal_of(const ServicePortPlan& plan);
const TrafficPlan* external_of(const ServicePortPlan& plan);

/// Sorted by their first nodes.
std::vector<Outcome> outcomes_of(const std::vector<NodeGroup>& groups, std::size_t port,
                                 TrafficOf traffic_of);

}  // namespace topolb::core
