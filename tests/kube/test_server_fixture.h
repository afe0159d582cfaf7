// SPDX-License-Identifier: Apache-2.0
// A test API server with a few objects, and clients of it.
#pragma once

#include <gtest/gtest.h>

#include <memory>

#include "api_server.h"
#include "cluster_view.h"
#include "kube/api_client.h"
#include "objects.h"

namespace topolb::kube {

class TestServerFixture : public testing::Test {
 protected:
  explicit TestServerFixture(test::ApiServerOptions options = {}) : server(std::move(options)) {
    server.store().put(service("a", "10.96.0.1"));
    server.store().put(service("b", "10.96.0.2"));
    server.store().put(service("c", "10.96.0.3"));
    server.store().put(slice("a-1", "a", "10.1.0.1"));
    server.store().put(node("n1", "z1"));
    server.store().put(node("n2", "z2"));
  }

  [[nodiscard]] ClusterConfig config() const {
    ClusterConfig config;
    config.servers = {server.url()};
    config.certificate_authority.data = server.authority().certificate_pem();
    return config;
  }
  [[nodiscard]] static std::shared_ptr<Api> api(const ClusterConfig& config) {
    return std::make_shared<ApiClient>(config, make_transport(),
                                       [](const std::string&) { return std::string(); });
  }

  static const std::set<std::string>& all_names() {
    static const std::set<std::string> names = {"Service/default/a", "Service/default/b",
                                                "Service/default/c", "EndpointSlice/default/a-1",
                                                "Node//n1"};
    return names;
  }

  test::ApiServer server;
};

}  // namespace topolb::kube
