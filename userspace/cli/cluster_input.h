// SPDX-License-Identifier: Apache-2.0
// Where the objects of a cluster come from: a directory of manifests, or its API.
#pragma once

#include <optional>
#include <set>
#include <vector>

#include "cli/command.h"
#include "core/cluster_state.h"

namespace topolb::cli {

struct ClusterInput {
  core::ClusterState state;             // planned
  std::vector<core::Problem> problems;  // of decoding and planning; sorted, each once
  std::set<core::ObjectKey> unserved;   // Services that topolb leaves alone
};

/// Reads what the options name and plans for the options' node. None: the exit code is in
/// `exit_code`, the reason went to stderr.
std::optional<ClusterInput> read_cluster(const Invocation& call, int& exit_code);

}  // namespace topolb::cli
