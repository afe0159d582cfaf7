// SPDX-License-Identifier: Apache-2.0
// The topology of topology.h with the real agent on both nodes, nothing of kube-proxy anywhere.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "net/process.h"
#include "net/tc/topology.h"
#include "support/sockets.h"

namespace topolb::test {

using Words = std::vector<std::string>;

class AgentCluster {
 public:
  AgentCluster();
  ~AgentCluster();
  AgentCluster(const AgentCluster&) = delete;
  AgentCluster& operator=(const AgentCluster&) = delete;

  /// Replaces a file of the manifests that both agents follow.
  void write(const std::string& file, const std::string& text) const;
  /// Starts the agent of node 1 or 2 and waits until it is ready; throws when it is not.
  void start_agent(int node, const Words& more = {});
  void stop_agent(int node, int signal);
  Process& agent(int node) { return *agents_.at(node); }
  /// `topolb WORDS... --pin-path` of a node.
  [[nodiscard]] Outcome topolb(int node, Words words) const;

  /// A server in a namespace of the topology, which answers with its own address.
  Server& serve(const std::string& place, const std::string& address, Protocol protocol);
  /// A client in one.
  [[nodiscard]] Seen dial(const std::string& place, const std::string& frontend,
                          Protocol protocol) const;
  /// Until dial() is answered by `backend`.
  [[nodiscard]] bool comes_to(const std::string& place, const std::string& frontend,
                              const std::string& backend, Protocol protocol = Protocol::TCP) const;
  /// A connection is not answered, and node `node` counts a packet that it drops.
  [[nodiscard]] bool is_dropped(const std::string& place, const std::string& frontend,
                                int node) const;
  /// A shell command in a namespace; throws when it fails.
  void in(const std::string& place, const std::string& command) const;
  [[nodiscard]] const TcTopology& topology() const { return topology_; }
  [[nodiscard]] std::string pin_path(int node) const;
  [[nodiscard]] std::string cgroup(int node) const;

 private:
  TcTopology topology_;
  std::filesystem::path directory_;
  std::map<int, std::unique_ptr<Process>> agents_;
  std::vector<std::unique_ptr<Server>> servers_;
};

/// Dual-stack objects as YAML: a Service default/NAME, its slices.
struct DualStackService {
  std::string name;
  std::string cluster_ips;  // "10.96.0.1, fd00:96::1"
  std::string spec = "";    // "type: NodePort"
  int node_port = 0;
  std::string status = "";    // "loadBalancer: {...}"
  std::string metadata = "";  // "annotations: {a: b}"
};
/// One endpoint in both families: pod 1 or 2, on node 1 or 2.
struct DualStackEndpoint {
  int pod = 1;
  std::string conditions = "ready: true";
};
/// Port 80 of TCP and UDP, each with the node port given; target port 8080.
std::string dual_stack_text(const DualStackService& service,
                            const std::vector<DualStackEndpoint>& endpoints);

}  // namespace topolb::test
