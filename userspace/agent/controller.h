// SPDX-License-Identifier: Apache-2.0
// From changed objects to changed maps: keeps the cluster state, re-plans what changed, executes
// the operations, says so in the log and on the status board. One thread.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/status_board.h"
#include "core/cluster_state.h"
#include "dataplane/datapath.h"
#include "dataplane/node_addresses.h"
#include "dataplane/publisher.h"
#include "kube/decode.h"

namespace topolb::agent {

/// A batch of changes from a source, in order.
struct ObjectChanges {
  std::vector<kube::DecodedObject> put;
  std::vector<kube::ObjectId> removed;
  std::vector<core::Problem> source_problems;  // all there are now: files that don't parse, ...
};

class Controller {
 public:
  /// Both must outlive it.
  Controller(core::PlanOptions options, dataplane::Datapath& datapath, StatusBoard& board);

  /// With the first complete state: takes the maps over, then attaches the hooks. Error: a hook
  /// can't be attached.
  Result<void> start(ObjectChanges&& everything);
  /// Any later batch.
  void apply(ObjectChanges&& changes);
  /// The node's own addresses, at the start and whenever they change.
  void set_node_addresses(const dataplane::NodeAddresses& addresses);
  /// Makes replaced rows free; for an idle moment. True if there is nothing left to do.
  bool tidy_up();

 private:
  void take_in(ObjectChanges&& changes);
  void log_problems();
  void publish_status(double replan_seconds, std::size_t operations);

  core::ClusterState state_;
  dataplane::Datapath& datapath_;
  StatusBoard& board_;
  dataplane::Publisher publisher_;
  std::map<kube::ObjectId, std::vector<core::Problem>> object_problems_;
  std::vector<core::Problem> source_problems_;
  std::vector<core::Problem> logged_problems_;  // sorted
  Status status_;
};

/// CLOCK_REALTIME in ns.
std::uint64_t now_ns();

}  // namespace topolb::agent
