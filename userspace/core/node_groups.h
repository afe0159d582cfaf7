// SPDX-License-Identifier: Apache-2.0
// One Service planned for every node of a cluster. Nodes that a plan cannot tell apart are planned
// for once: what the plan asks of a node is only whether its name and its labels equal those of
// the Service's endpoints. Pure. The plans are plan_service()'s own.
#pragma once

#include <cstdint>
#include <vector>

#include "core/node_table.h"
#include "core/plan.h"

namespace topolb::core {

/// Nodes that get the same plan.
struct NodeGroup {
  std::vector<std::uint32_t> nodes;  // their numbers, ascending; at least one
  ServicePlan plan;
};

/// Every node is in one group. Sorted by their first nodes. Two groups may have equal plans.
std::vector<NodeGroup> plan_on_all_nodes(const Service& service, const ServiceEndpoints& endpoints,
                                         NodeTable& nodes);

}  // namespace topolb::core
