// SPDX-License-Identifier: Apache-2.0
// A cluster to test against, simulated or real: an API server that can be changed, stopped, made
// to forget, and reached by a cable that can be cut.
#pragma once

#include <cpprest/json.h>

#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "api_server_cable.h"
#include "kube/cluster_config.h"

namespace topolb::kube {

class TestCluster {
 public:
  TestCluster() = default;
  TestCluster(const TestCluster&) = delete;
  TestCluster& operator=(const TestCluster&) = delete;
  virtual ~TestCluster() = default;

  /// Over the cable, with every right.
  [[nodiscard]] virtual ClusterConfig config() const = 0;
  [[nodiscard]] test::Cable& cable() { return *cable_; }

  /// A token of the agent's ServiceAccount, kube-system/topolb, good for what RBAC says. The one
  /// before is worthless from now on (a real server may believe it for ten more seconds).
  virtual std::string rotate_token() = 0;
  /// config() as a file of kubectl; `token_file`: with the token in there instead of every right.
  [[nodiscard]] std::string kubeconfig(const std::string& token_file = "") const;
  /// Whether a request with this token is let in.
  bool accepts(const std::string& token) const;

  /// What is at this path, with every right; an empty object if nothing is. Over the cable.
  [[nodiscard]] web::json::value get(const std::string& target) const;

  /// Whether the agent's account is forbidden to read EndpointSlices.
  virtual void refuse_slices(bool refuse) = 0;

  /// Not over the cable. Creates or replaces.
  virtual void put(const web::json::value& object) = 0;
  virtual void remove(const std::string& kind, const std::string& name_space,
                      const std::string& name) = 0;
  /// One of the next answers goes wrong, in a way that `choice` decides, where it can be made to.
  virtual void disturb(unsigned choice) { (void)choice; }
  /// No more of that, also of what was to come.
  virtual void calm() {}
  virtual void stop() = 0;
  virtual void start() = 0;
  /// No watch can go on from a version of before.
  virtual void forget_history() = 0;

 protected:
  std::unique_ptr<test::Cable> cable_;
};

std::unique_ptr<TestCluster> make_simulated_cluster();

/// The manifests of k8s/base with the agent's account and its roles.
std::vector<std::string> agent_account_files();
/// The objects of a manifest of this repository: "k8s/base/rbac.yaml". Throws.
std::vector<web::json::value> shipped_objects(const std::string& file);

/// A kind of cluster, as the parameter of a test.
struct ClusterKind {
  std::string name;
  std::unique_ptr<TestCluster> (*make)();
};
inline void PrintTo(const ClusterKind& kind, std::ostream* out) { *out << kind.name; }

/// The simulated one, always; a real one where KUBEBUILDER_ASSETS is set when the test runs.
std::vector<ClusterKind> cluster_kinds();

}  // namespace topolb::kube
