// SPDX-License-Identifier: Apache-2.0
// A node of a benchmark: a cgroup whose processes are served by programs and maps of its own, and
// Services whose backends are all on the server.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/plan.h"
#include "dataplane/datapath.h"
#include "dataplane/publisher.h"
#include "support/sandbox.h"

namespace topolb::bench {

inline constexpr std::uint16_t kPort = 8080;
inline constexpr int kBackends = 10;  // of each Service

/// "10.0.0.1:8080": backend `number` (1 to kBackends) of Service `service`; no two are alike.
std::string backend(int service, int number);
/// All of one Service.
std::vector<std::string> backends(int service);
std::string cluster_ip(int service);
/// "198.18.0.0:80"
std::string frontend(int service);
std::vector<core::ServicePortPlan> services(int count, Protocol protocol = Protocol::TCP);

/// A cgroup below the sandbox's.
class Node {
 public:
  Node(const test::Sandbox& sandbox, const std::string& name);
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  /// Attaches the programs; the sizes of the maps fit the plan.
  void serve(const std::vector<core::ServicePortPlan>& plan);
  /// After serve(): to a larger plan, in larger maps, as an agent does.
  void grow_to(const std::vector<core::ServicePortPlan>& plan);
  [[nodiscard]] const std::string& cgroup() const { return cgroup_; }
  [[nodiscard]] const std::string& pin_path() const { return pin_path_; }

 private:
  std::string cgroup_;
  std::string pin_path_;
  std::unique_ptr<dataplane::Datapath> datapath_;
  std::unique_ptr<dataplane::Publisher> publisher_;
};

}  // namespace topolb::bench
