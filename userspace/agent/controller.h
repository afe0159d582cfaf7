// SPDX-License-Identifier: Apache-2.0
// From changed objects to changed maps: keeps the cluster state, re-plans what changed, executes
// the operations, says so in the log and on the status board. One thread.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/packet_path.h"
#include "agent/proxy_metrics.h"
#include "agent/service_health.h"
#include "agent/source.h"
#include "agent/status_board.h"
#include "core/cluster_state.h"
#include "dataplane/datapath.h"
#include "dataplane/publisher.h"
#include "kube/event_writer.h"
#include "kube/object_files.h"

namespace topolb::agent {

class Controller {
 public:
  /// All must outlive it.
  Controller(core::PlanOptions options, dataplane::Datapath& datapath, StatusBoard& board,
             ProxyMetrics& metrics);

  /// Objects of the state that is not complete yet: kept, not planned.
  void collect(ObjectChanges&& changes) { take_in(std::move(changes)); }
  /// Once what was collected is complete: takes the maps over, then attaches the hooks and starts
  /// the per-packet path. Error: a hook can't be attached.
  Result<void> start(PacketPath& packets);
  /// Any later batch.
  void apply(ObjectChanges&& changes);
  /// Some Service has topology keys that only the labels of other nodes can decide.
  [[nodiscard]] bool needs_all_nodes() const { return !needing_nodes_.empty(); }
  /// UDP backends that have gone since the last call.
  std::vector<SocketAddress> take_gone_udp();
  /// Once a second: the loop turns, how old the source's last word is, what the per-packet path
  /// says, and how many UDP sockets were ended.
  void beat(std::vector<SourceAge> ages, const PacketPath& packets, std::uint64_t ended_sockets);
  /// As of the last start(), apply() or beat().
  [[nodiscard]] const kube::EventProblems& event_problems() const { return event_problems_; }
  void note_events(kube::EventStatus status) { status_.events = std::move(status); }
  /// Makes replaced rows free; for an idle moment.
  void tidy_up();

 private:
  void take_in(ObjectChanges&& changes);
  void take_in(core::Service&& service);
  void take_in(const core::Node& node);
  void judge_own_node(bool is_eligible);
  void remove(const kube::ObjectId& id);
  void make_room();
  Result<void> publish_anew(const std::vector<core::SharedPlan>& plan);
  void finish_growth(const Result<void>& attached);
  [[nodiscard]] std::vector<dataplane::MapFill> fill() const;
  void check_node_ports();
  void log_problems();
  void publish_status(double replan_seconds, std::size_t operations);

  core::ClusterState state_;
  dataplane::Datapath& datapath_;
  StatusBoard& board_;
  ProxyMetrics& metrics_;
  std::optional<dataplane::Publisher> publisher_;  // always there
  PacketPath* packets_ = nullptr;                  // from start() on
  ServiceHealth service_health_;
  std::map<kube::ObjectId, std::vector<core::Problem>> object_problems_;
  kube::ObjectFiles object_files_;
  std::set<core::ObjectKey> needing_nodes_;
  std::vector<core::Problem> source_problems_;
  std::vector<SocketAddress> gone_udp_;  // of publishers before
  std::optional<Error> growth_failure_;
  bool is_growing_ = false;                        // hooks are still on the maps before
  std::vector<core::Problem> node_problems_;       // of this machine
  std::vector<core::Problem> packet_problems_;     // of the per-packet path
  std::vector<core::Problem> health_problems_;     // of healthCheckNodePorts
  std::vector<std::uint16_t> checked_node_ports_;  // by check_node_ports()
  std::vector<core::Problem> logged_problems_;     // sorted
  kube::EventProblems event_problems_;
  Status status_;
};

/// CLOCK_REALTIME in ns.
std::uint64_t now_ns();

}  // namespace topolb::agent
