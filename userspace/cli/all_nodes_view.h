// SPDX-License-Identifier: Apache-2.0
// `topolb plan --all-nodes`: how the traffic of a whole cluster spreads, as tables and JSON.
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "cli/json.h"
#include "core/cluster_state.h"
#include "core/traffic_spread.h"

namespace topolb::cli {

/// Backends and domains with a higher ratio (traffic_spread.h) are called overloaded.
inline constexpr double kOverloadRatio = 1.5;

/// Tables show this many of what stands out; JSON has it all.
inline constexpr std::size_t kMostRows = 20;

/// A node as the sender and the receiver of internal traffic. All that all nodes send is 1.
struct NodeLoad {
  std::string name;
  std::size_t refused_ports = 0;  // Service ports that reject or drop its connections
  double share = 0;               // that its backends get
  double fair_share = 0;          // that they would get if every backend got as much

  [[nodiscard]] double ratio() const { return fair_share > 0 ? share / fair_share : 0; }
};

struct AllNodesView {
  std::vector<NodeLoad> nodes;          // sorted by name
  std::vector<core::PortSpread> ports;  // sorted by key
  std::vector<core::Problem> problems;
};

AllNodesView all_nodes_view(const core::ClusterState& state, std::vector<core::Problem> problems);

void print_all_nodes_json(std::ostream& out, const AllNodesView& view);
void print_all_nodes_tables(std::ostream& out, const AllNodesView& view);

/// Verdict, tier and backends, as in the plan of one node.
Json::Object outcome_json(const core::Outcome& outcome);

}  // namespace topolb::cli
