// SPDX-License-Identifier: Apache-2.0
// The agent's control plane in this process: from the bytes of the API (or files) to the maps in
// the kernel. What it costs is what this process costs.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "agent/controller.h"
#include "agent/packet_path.h"
#include "dataplane/datapath.h"
#include "kube/cluster_source.h"
#include "socket_api.h"
#include "support/sandbox.h"

namespace topolb::bench {

class MeasuredAgent {
 public:
  /// From an ObjectServer, or from a directory if `manifests` is not empty. Reads nothing yet.
  MeasuredAgent(const std::string& socket_path, const std::string& manifests);

  /// Until the first complete state is in the kernel.
  void start();
  /// Applies the next batch, waiting for it.
  void apply_next();
  /// Until the last event of a scenario has been applied.
  void apply_until_marker();
  /// As an agent that has nothing to do.
  void settle();
  /// The node gets a device for the per-packet path, whose programs and maps are the same whatever
  /// the cluster.
  void add_device();

  [[nodiscard]] std::uint64_t bytes_received() const { return api_ ? api_->bytes_received() : 0; }
  /// In the kernel's map.
  [[nodiscard]] std::uint32_t backends() const;

 private:
  std::optional<agent::ObjectChanges> changes();
  [[nodiscard]] int fd() const { return cluster_ ? cluster_->fd() : manifests_->fd(); }
  void wait_for_changes() const;

  test::Sandbox sandbox_;
  dataplane::Datapath datapath_;
  agent::PacketPath packets_;
  std::string manifests_path_;
  agent::StatusBoard board_;
  agent::ProxyMetrics metrics_{agent::now_ns()};
  agent::Controller controller_;
  std::shared_ptr<SocketApi> api_;
  std::unique_ptr<kube::ClusterSource> cluster_;
  std::unique_ptr<agent::Source> manifests_;
  unsigned markers_ = 0;
};

}  // namespace topolb::bench
