// SPDX-License-Identifier: Apache-2.0
#include "agent/event_problems.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace topolb::agent {
namespace {

bool is_of_served(const core::ClusterState& state, const core::Problem& problem) {
  if (problem.kind == "EndpointSlice") return state.options().scope == core::Scope::All;
  if (problem.kind != "Service") return false;
  const auto* service = state.find_service({problem.namespace_name, problem.name});
  return service != nullptr && state.is_served(*service);
}

void make_set(std::vector<core::Problem>& problems) {
  std::sort(problems.begin(), problems.end());
  problems.erase(std::unique(problems.begin(), problems.end()), problems.end());
}

}  // namespace

kube::EventProblems event_problems(const core::ClusterState& state, const ProblemLists& problems) {
  kube::EventProblems events;
  const auto& node_name = state.options().node_name;
  for (const auto& problem : problems.of_objects) {
    if (problem.kind == "Node" && problem.name == node_name) {
      events.of_node.push_back(problem);
    } else if (is_of_served(state, problem)) {
      events.of_cluster.push_back(problem);
    }
  }
  events.of_node.insert(events.of_node.end(), problems.of_node.begin(), problems.of_node.end());
  std::set<std::string> told;
  for (const auto& problem : problems.of_kernel) {
    if (!told.insert(problem.reason).second) continue;
    events.of_node.push_back(
        {"Node", "", node_name, problem.reason,
         fmt::format("{} {}/{}: {} (topolb status on the node names all)", problem.kind,
                     problem.namespace_name, problem.name, problem.message)});
  }
  make_set(events.of_cluster);
  make_set(events.of_node);
  return events;
}

}  // namespace topolb::agent
