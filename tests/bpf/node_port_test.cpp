// SPDX-License-Identifier: Apache-2.0
// NodePort, ExternalIP and LoadBalancer frontends as this node's sockets see them.
// Source: design.md 3.3 (in-cluster clients of external frontends), issue "The main job".
#include <sched.h>

#include "dataplane/node_addresses.h"
#include "support/datapath_fixture.h"

namespace topolb::test {
namespace {

class NodePort : public DatapathTest {
 protected:
  void SetUp() override {
    for (const auto* backend : {"10.1.0.1:80", "10.1.0.2:80", "[fd00:1::1]:80"}) {
      servers_.push_back(serve(backend));
    }
    sandbox_.add_node_address("192.0.2.10");
    sandbox_.add_node_address("2001:db8::10");
  }

  void start_with_addresses(const std::vector<core::ServicePortPlan>& plan) {
    start(plan);
    // Without those on lo, where this test's backends are.
    for (const auto* address : {"192.0.2.10", "2001:db8::10"}) {
      ASSERT_TRUE(maps().node_addresses.put(dataplane::to_wire(*IpAddress::parse(address)), {1}));
    }
  }

  static core::ServicePortPlan node_port_service() {
    auto plan = service("web", "10.96.0.1:80", Protocol::TCP, traffic({{"", {"10.1.0.1:80"}}}));
    add_frontend(plan, core::FrontendKind::NodePort, "0.0.0.0:30080",
                 traffic({{"", {"10.1.0.2:80"}}}));
    return plan;
  }

  std::vector<std::unique_ptr<Server>> servers_;
};

TEST_F(NodePort, AnswersOnTheNodesOwnAddressesAndLoopback) {
  start_with_addresses({node_port_service()});
  for (const auto* frontend : {"192.0.2.10:30080", "127.0.0.1:30080", "127.1.2.3:30080"}) {
    const auto seen = dial_tcp(frontend);
    EXPECT_EQ(seen.backend, "10.1.0.2:80") << frontend;
    EXPECT_EQ(seen.peer, frontend);
  }
  EXPECT_EQ(dial_tcp("127.0.0.1:30080", SocketFamily::MappedIpv6).backend, "10.1.0.2:80");
  EXPECT_EQ(dial_tcp("10.96.0.1:80").backend, "10.1.0.1:80");
}

TEST_F(NodePort, AnswersOverIpv6) {
  auto plan = service("web", "[fd00:96::1]:80", Protocol::TCP, traffic({{"", {"[fd00:1::1]:80"}}}));
  add_frontend(plan, core::FrontendKind::NodePort, "[::]:30080",
               traffic({{"", {"[fd00:1::1]:80"}}}));
  start_with_addresses({plan});
  for (const auto* frontend : {"[2001:db8::10]:30080", "[::1]:30080"}) {
    const auto seen = dial_tcp(frontend);
    EXPECT_EQ(seen.backend, "[fd00:1::1]:80") << frontend;
    EXPECT_EQ(seen.peer, frontend);
  }
}

TEST_F(NodePort, DoesNotAnswerElsewhere) {
  const Server other("10.1.0.1:30080", Protocol::TCP);  // before its port is taken
  start_with_addresses({node_port_service()});
  EXPECT_EQ(dial_tcp("10.1.0.1:30080").backend, "10.1.0.1:30080");
  EXPECT_EQ(dial_tcp("192.0.2.10:30081").error, ECONNREFUSED);
}

TEST_F(NodePort, APodsLoopbackIsItsOwn) {
  start_with_addresses({node_port_service()});
  maps().settings[0].node_netns_cookie += 1;  // as if this socket were in a pod's namespace
  EXPECT_EQ(dial_tcp("127.0.0.1:30080").error, ECONNREFUSED);
  EXPECT_EQ(dial_tcp("0.0.0.0:30080").error, ECONNREFUSED);
  EXPECT_EQ(dial_tcp("192.0.2.10:30080").backend, "10.1.0.2:80");
}

TEST_F(NodePort, ZeroAddressIsLoopbackOfTheNode) {
  start_with_addresses({node_port_service()});
  EXPECT_EQ(dial_tcp("0.0.0.0:30080").backend, "10.1.0.2:80");
}

TEST_F(NodePort, GoesWithItsService) {
  start_with_addresses({node_port_service()});
  change_to({});
  EXPECT_EQ(dial_tcp("192.0.2.10:30080").error, ECONNREFUSED);
  EXPECT_GT(maps().settings[0].node_port_min, maps().settings[0].node_port_max);
}

TEST_F(NodePort, ExternalAddressesGetTheSetOfThisNodesSockets) {
  auto plan = service("web", "10.96.0.1:80", Protocol::TCP, traffic({{"", {"10.1.0.1:80"}}}));
  add_frontend(plan, core::FrontendKind::ExternalIP, "198.51.100.1:80",
               traffic({{"", {"10.1.0.2:80"}}}));
  add_frontend(plan, core::FrontendKind::LoadBalancer, "203.0.113.1:80",
               traffic({{"", {"10.1.0.2:80"}}}));
  plan.external = refused(core::Verdict::Drop);  // what a client from outside would get here
  start_with_addresses({plan});
  EXPECT_EQ(dial_tcp("198.51.100.1:80").backend, "10.1.0.2:80");
  EXPECT_EQ(dial_tcp("203.0.113.1:80").backend, "10.1.0.2:80");
}

TEST_F(NodePort, TheNodesAddressesAreFollowed) {
  auto monitor = dataplane::NodeAddressMonitor::open();
  ASSERT_TRUE(monitor);
  const auto before = dataplane::read_node_addresses();
  ASSERT_TRUE(before);
  EXPECT_TRUE(before->contains(*IpAddress::parse("192.0.2.10")));
  EXPECT_TRUE(before->contains(*IpAddress::parse("2001:db8::10")));
  EXPECT_FALSE(before->contains(*IpAddress::parse("127.0.0.1")));
  EXPECT_TRUE(before->contains(*IpAddress::parse("10.1.0.1")));  // on lo
  EXPECT_FALSE(before->contains(*IpAddress::parse("::1")));
  run("ip address add 192.0.2.11/24 dev eth0");
  monitor->drain();
  EXPECT_TRUE(dataplane::read_node_addresses()->contains(*IpAddress::parse("192.0.2.11")));
}

}  // namespace
}  // namespace topolb::test
