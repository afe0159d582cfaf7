// SPDX-License-Identifier: Apache-2.0
// The real agent against an API server, simulated or real, as the ServiceAccount that is shipped
// for it: what it may is what k8s/base says, and nothing else.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "net/agent_fixture.h"
#include "net/storm.h"
#include "test_cluster.h"

namespace topolb::kube {

class AgentOfACluster : public test::AgentTest, public testing::WithParamInterface<ClusterKind> {
 protected:
  /// A Service default/web at kWeb with the backend kOne; kTwo serves, too, but is no endpoint yet.
  AgentOfACluster();

  /// Objects as YAML, as tests/net/manifests.h has them.
  void put(const std::string& yaml);
  /// The endpoint of default/web from now on.
  void move_web_to(const std::string& address);
  /// A new token in the agent's token file; returns the one before, worthless from now on.
  std::string rotate_token();
  /// The agent's token of now.
  [[nodiscard]] const std::string& token() const { return token_; }
  /// Every connection goes to `backend`, and not one to another.
  static void expect_only(const std::string& backend);

  std::unique_ptr<TestCluster> cluster;

 private:
  std::string token_;
};

inline constexpr const char* kWeb = "10.96.1.1:80";
inline constexpr const char* kOne = "10.1.0.1:8080";
inline constexpr const char* kTwo = "10.1.0.2:8080";
/// Between two connections: a real API server shares the machine with the storm.
inline constexpr std::chrono::microseconds kPause{200};

}  // namespace topolb::kube
