// SPDX-License-Identifier: Apache-2.0
// The Service that tests of both agents are about, and the agents.
#pragma once

#include <gtest/gtest.h>

#include <cstdio>
#include <string>
#include <vector>

#include "net/tc/agent_cluster.h"

namespace topolb::test {

struct Places {
  std::string node1, node2, balancer, external_ip, cluster_ip, pod1, pod2, client;
};
inline const Places kIPv4{"192.0.2.10:30080", "192.0.2.11:30080", "203.0.113.5:80",
                          "203.0.113.9:80",   "10.96.0.1:80",     "10.1.1.2:8080",
                          "10.1.2.2:8080",    "198.51.100.7"};
inline const Places kIPv6{"[2001:db8::10]:30080", "[2001:db8::11]:30080", "[2001:db8:1::5]:80",
                          "[2001:db8:1::9]:80",   "[fd00:96::1]:80",      "[fd00:1:1::2]:8080",
                          "[fd00:1:2::2]:8080",   "2001:db8:5::7"};

inline const DualStackService kWeb{
    .name = "web",
    .cluster_ips = "10.96.0.1, \"fd00:96::1\"",
    .spec = "type: LoadBalancer, externalIPs: [203.0.113.9, \"2001:db8:1::9\"]",
    .node_port = 30080,
    .status = "loadBalancer: {ingress: [{ip: 203.0.113.5}, {ip: \"2001:db8:1::5\"}]}"};

inline DualStackService web_with(const std::string& more) {
  auto service = kWeb;
  service.spec += ", " + more;
  return service;
}

inline std::string host_of(const std::string& address) {
  return socket_address(address).address.to_string();
}

class TcAgents : public ::testing::Test {
 protected:
  ~TcAgents() override {
    if (!HasFailure()) return;
    for (const int node : started_) {
      std::fprintf(stderr, "log of agent %d:\n%s", node, cluster_.agent(node).err().c_str());
    }
  }

  void start(const Words& more = {}) {
    for (const int node : {1, 2}) {
      cluster_.start_agent(node, more);
      started_.push_back(node);
    }
  }

  AgentCluster cluster_;
  std::vector<int> started_;
};

}  // namespace topolb::test
