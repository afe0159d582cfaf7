// SPDX-License-Identifier: Apache-2.0
// Connections through two agents while something on the way changes: links that take less,
// agents and backends that go; and whom topology keys and affinity send a client to.
#include <gmock/gmock.h>

#include <cerrno>
#include <csignal>
#include <optional>

#include "net/manifests.h"
#include "net/tc/programs_fixture.h"

namespace topolb::test {
namespace {

using ::testing::HasSubstr;

class Paths : public ProgramsAsClients {
 protected:
  /// Node 1's routes to pod 2 take less than its device does.
  void make_way_to_pod2_smaller() const {
    cluster_.in("node1",
                "ip route change 10.1.2.0/24 via 192.0.2.11 mtu lock 1300;"
                "ip -6 route change fd00:1:2::/64 via 2001:db8::11 mtu lock 1300");
  }
  /// Of 1,400 bytes, for ways that take 1,300; and their sender is told so.
  void expect_datagrams_are_too_large(const Places& at) const {
    std::optional<ConnectedUdp> sender;
    cluster_.topology().inside("client", [&] { sender.emplace(at.node1); });
    EXPECT_EQ(sender->send_error(1400), 0);
    EXPECT_TRUE(wait_until([&] { return sender->take_error() == EMSGSIZE; })) << at.node1;
    EXPECT_THAT(route("client", host_of(at.node1)), HasSubstr("mtu 1300"));
  }
  /// What `ip route get` says in a namespace: "mtu 1300" once a router has told so.
  std::string route(const std::string& place, const std::string& address) const {
    return run_in(place, {"ip", "route", "get", address}).out;
  }
  /// Who answers that many connections from a place.
  std::set<std::string> answers(const std::string& place, const std::string& frontend) const {
    std::set<std::string> backends;
    for (int i = 0; i < 16; ++i) {
      backends.insert(cluster_.dial(place, frontend, Protocol::TCP).backend);
    }
    return backends;
  }
};

// Towards the client, the router tells the pod, by way of node 1; towards the pod, node 1 tells
// the client. Neither the router nor the node has a checksum of what they tell about: veth devices
// leave it to the receiver.
TEST_F(Paths, LinksThatTakeLessAreToldToBothEnds) {
  cluster_.write("web.yaml", dual_stack_text(kWeb, {{.pod = 2}}));
  start();
  serve_iperf();
  cluster_.in("router",
              "ip route add 198.51.100.7 dev r0 mtu 1400;"
              "ip -6 route add 2001:db8:5::7 dev r0 mtu 1400");
  make_way_to_pod2_smaller();
  for (const auto& at : {kIPv4, kIPv6}) {
    // In this order: a client that was told sends TCP's own word for it, the segment size.
    EXPECT_GT(iperf(at.node1, {"--reverse"}), 16'000'000) << at.node1;
    EXPECT_THAT(route("pod2", host_of(at.node1)), HasSubstr("mtu 1400"));
    EXPECT_GT(iperf(at.node1, {}), 16'000'000) << at.node1;
    EXPECT_THAT(route("client", host_of(at.node1)), HasSubstr("mtu 1300"));
  }
}

TEST_F(Paths, SendersOfDatagramsAreToldTheMtu) {
  cluster_.write("web.yaml", dual_stack_text(kWeb, {{.pod = 2}}));
  start();
  make_way_to_pod2_smaller();
  for (const auto& at : {kIPv4, kIPv6}) {
    expect_datagrams_are_too_large(at);
  }
}

// Source: Linux Documentation/networking/ip-sysctl.rst, ip_forward_use_pmtu.
TEST_F(Paths, AnUnlockedRouteMtuIsToldWhereTheNodeForwardsByIt) {
  cluster_.write("web.yaml", dual_stack_text(kWeb, {{.pod = 2}}));
  start();
  cluster_.in("node1",
              "ip route change 10.1.2.0/24 via 192.0.2.11 mtu 1300;"
              "sysctl -qw net.ipv4.ip_forward_use_pmtu=1");
  expect_datagrams_are_too_large(kIPv4);
}

// Before the first packet, node 1 has never spoken to node 2.
TEST_F(Paths, TheMtuIsToldOfAWayToAnUnknownNeighbour) {
  cluster_.write("web.yaml", dual_stack_text(kWeb, {{.pod = 2}}));
  start();
  serve_iperf();
  make_way_to_pod2_smaller();
  for (const auto& at : {kIPv4, kIPv6}) {
    cluster_.in("node1", "ip neighbour flush dev eth0; ip -6 neighbour flush dev eth0");
    EXPECT_GT(iperf(at.node1, {}), 16'000'000) << at.node1;
    EXPECT_THAT(route("client", host_of(at.node1)), HasSubstr("mtu 1300"));
  }
}

TEST_F(Paths, ConnectionsGoOnWithoutAnAgentAndWithTheNext) {
  cluster_.write("web.yaml", dual_stack_text(kWeb, {{.pod = 2}}));
  start();
  serve_iperf();
  auto& client = start_iperf(kIPv4.node1, {"--time", "4"});
  cluster_.stop_agent(1, SIGKILL);
  cluster_.start_agent(1);
  EXPECT_EQ(client.wait(), 0) << client.out();
}

// The server's node answers the server's own packets with a reset, too: one that is told so closes
// iperf3's other connection, and the client may see that first.
TEST_F(Paths, ConnectionsToABackendThatIsGoneAreReset) {
  cluster_.write("web.yaml", dual_stack_text(kWeb, {{.pod = 2}}));
  start();
  serve_iperf();
  auto& client = start_iperf(kIPv4.node1, {"--time", "1000"});
  silence_iperf_server();
  cluster_.write("web.yaml", dual_stack_text(kWeb, {{.pod = 1}}));
  EXPECT_EQ(client.wait(), 1);
  EXPECT_THAT(client.out() + client.err(), HasSubstr("Connection reset by peer"));
}

TEST_F(Paths, TopologyKeysSendOutsideClientsToTheNearestBackends) {
  cluster_.write("nodes.yaml",
                 node_text("n1", {{"rack", "a"}}) + "---\n" + node_text("n2", {{"rack", "b"}}));
  auto service = kWeb;
  service.metadata = keys("rack,*");
  cluster_.write("web.yaml", dual_stack_text(service, {{.pod = 1}, {.pod = 2}}));
  start();
  for (const auto& at : {kIPv4, kIPv6}) {
    cluster_.serve("pod1", at.pod1, Protocol::TCP);
    cluster_.serve("pod2", at.pod2, Protocol::TCP);
    EXPECT_EQ(answers("client", at.node1), std::set{at.pod1});
    EXPECT_EQ(answers("client", at.balancer), std::set{at.pod1});
    EXPECT_EQ(answers("client", at.node2), std::set{at.pod2});
  }
  cluster_.write("web.yaml", dual_stack_text(service, {{.pod = 2}}));
  for (const auto& at : {kIPv4, kIPv6}) {
    EXPECT_TRUE(cluster_.comes_to("client", at.node1, at.pod2)) << "the next tier";
  }
}

TEST_F(Paths, AffinityKeepsAClientAtItsBackend) {
  cluster_.write("web.yaml",
                 dual_stack_text(web_with("sessionAffinity: ClientIP"), {{.pod = 1}, {.pod = 2}}));
  start();
  for (const auto& at : {kIPv4, kIPv6}) {
    cluster_.serve("pod1", at.pod1, Protocol::TCP);
    cluster_.serve("pod2", at.pod2, Protocol::TCP);
    EXPECT_EQ(answers("client", at.node1).size(), 1U) << at.node1;
    EXPECT_EQ(answers("client", at.balancer).size(), 1U) << at.balancer;
  }
}

}  // namespace
}  // namespace topolb::test
