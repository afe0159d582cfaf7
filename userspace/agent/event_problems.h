// SPDX-License-Identifier: Apache-2.0
// Which problems become Events, and on what. Pure.
#pragma once

#include <string>
#include <vector>

#include "core/cluster_state.h"
#include "kube/event_writer.h"

namespace topolb::agent {

struct ProblemLists {
  std::vector<core::Problem> of_objects;  // of decoding and planning: the same on every node
  std::vector<core::Problem> of_kernel;   // named after Services, but of this node's maps
  std::vector<core::Problem> of_node;
};

/// Those of Services that are not served are left out, and of EndpointSlices unless every Service
/// is served. What the kernel lacks is said of the Node, once for each reason: as many nodes as
/// there are may have the same, and on the Service's Event there is room for one.
kube::EventProblems event_problems(const core::ClusterState& state, const ProblemLists& problems);

}  // namespace topolb::agent
