// SPDX-License-Identifier: Apache-2.0
// A cluster to test against, simulated or real: an API server that can be changed, stopped, made
// to forget, and reached by a cable that can be cut.
#pragma once

#include <cpprest/json.h>

#include <memory>
#include <string>

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

  /// Not over the cable. Creates or replaces.
  virtual void put(const web::json::value& object) = 0;
  virtual void remove(const std::string& kind, const std::string& name_space,
                      const std::string& name) = 0;
  virtual void stop() = 0;
  virtual void start() = 0;
  /// No watch can go on from a version of before.
  virtual void forget_history() = 0;

 protected:
  std::unique_ptr<test::Cable> cable_;
};

std::unique_ptr<TestCluster> make_simulated_cluster();
/// kube-apiserver and etcd from the directory `assets`.
std::unique_ptr<TestCluster> make_real_cluster(const std::string& assets);

}  // namespace topolb::kube
