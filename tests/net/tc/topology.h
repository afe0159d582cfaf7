// SPDX-License-Identifier: Apache-2.0
// Namespaces that form a small cluster, dual stack, with the per-packet path on node 1:
//
//   client 198.51.100.7 -- router -- node 1 192.0.2.10 -- pod 1 10.1.1.2
//          2001:db8:5::7         |          2001:db8::10          fd00:1:1::2
//                                `- node 2 192.0.2.11 -- pod 2 10.1.2.2
//                                           2001:db8::11          fd00:1:2::2
//
// The router sends 203.0.113.0/24 and 2001:db8:1::/64 (load balancers) to node 1.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/datapath.h"
#include "dataplane/publisher.h"
#include "dataplane/tc_attach.h"
#include "dataplane/tc_programs.h"
#include "support/sandbox.h"

namespace topolb::test {

class TcTopology {
 public:
  TcTopology();
  ~TcTopology();
  TcTopology(const TcTopology&) = delete;
  TcTopology& operator=(const TcTopology&) = delete;

  /// Publishes a plan and puts the programs on eth0 and pod1 of node 1; `local`: backends there.
  void start(std::vector<core::ServicePortPlan> plan, const std::vector<std::string>& local,
             dataplane::TcMethod method = dataplane::TcMethod::Link);
  /// Runs `work` in a namespace: "client", "router", "node1" (this thread's own), "node2", "pod1",
  /// "pod2".
  void inside(const std::string& place, const std::function<void()>& work) const;

  [[nodiscard]] std::string netns_path(const std::string& place) const;
  /// Of node 1.
  [[nodiscard]] const std::string& pin_path() const { return sandbox_.pin_path(); }
  [[nodiscard]] const std::string& cgroup() const { return sandbox_.cgroup(); }
  dataplane::KernelMaps& maps() { return datapath_->maps(); }
  dataplane::TcPrograms& programs() { return *programs_; }

 private:
  [[nodiscard]] std::string name_of(const std::string& place) const;
  void make_namespaces() const;
  void attach(dataplane::TcMethod method);

  Sandbox sandbox_;  // node 1
  std::string prefix_;
  std::optional<dataplane::Datapath> datapath_;
  std::optional<dataplane::Publisher> publisher_;
  std::optional<dataplane::TcPrograms> programs_;
};

}  // namespace topolb::test
