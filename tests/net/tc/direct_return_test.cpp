// SPDX-License-Identifier: Apache-2.0
// Direct server return (--dsr) by two real agents: the pod sees the client, and its node answers.
// Sources: issue of the per-packet path; docs/decisions/0041.
#include <gmock/gmock.h>

#include <csignal>
#include <memory>
#include <optional>

#include "net/tc/programs_fixture.h"

namespace topolb::test {
namespace {

using ::testing::HasSubstr;

class DirectReturn : public ProgramsAsClients {
 protected:
  DirectReturn() { cluster_.write("web.yaml", dual_stack_text(kWeb, {{.pod = 2}})); }

  /// From now on, node 1 does not forward to the client: what comes back by it is lost.
  void close_way_back_by_node1() const {
    cluster_.in("node1",
                "ip route add blackhole 198.51.100.7; ip -6 route add blackhole 2001:db8:5::7");
  }
};

TEST_F(DirectReturn, PodsSeeTheClientAndItsNodeAnswers) {
  start({"--dsr"});
  close_way_back_by_node1();
  for (const auto protocol : {Protocol::TCP, Protocol::UDP}) {
    for (const auto& at : {kIPv4, kIPv6}) {
      SCOPED_TRACE(std::string(to_string(protocol)) + " " + at.node1);
      auto& server = cluster_.serve("pod2", at.pod2, protocol);
      for (const auto& frontend : {at.node1, at.balancer, at.external_ip}) {
        const auto seen = cluster_.dial("client", frontend, protocol);
        EXPECT_EQ(seen.backend, at.pod2) << frontend;
        EXPECT_EQ(seen.peer, frontend);
        EXPECT_EQ(host_of(server.last_client()), at.client) << frontend;
      }
      EXPECT_EQ(cluster_.dial("client", at.node2, protocol).backend, at.pod2);
    }
  }
}

// By routers and nodes of one MTU, so the client is told that it has less. The client's packets are
// to be cut into segments on their way; as are the pod's.
TEST_F(DirectReturn, MuchDataGoesBothWays) {
  start({"--dsr"});
  close_way_back_by_node1();
  serve_iperf();
  for (const auto& at : {kIPv4, kIPv6}) {
    EXPECT_GT(iperf(at.node1, {}), 16'000'000) << at.node1;
    EXPECT_GT(iperf(at.node1, {"--reverse"}), 16'000'000) << at.node1;
    EXPECT_THAT(run_in("client", {"ip", "route", "get", host_of(at.node1)}).out,
                HasSubstr(at.client == kIPv4.client ? "mtu 1480" : "mtu 1460"));
  }
}

// The router tells the frontend, by way of node 1.
TEST_F(DirectReturn, ALinkBeforeTheClientThatTakesLess) {
  start({"--dsr"});
  close_way_back_by_node1();
  serve_iperf();
  cluster_.in("router",
              "ip route add 198.51.100.7 dev r0 mtu 1400;"
              "ip -6 route add 2001:db8:5::7 dev r0 mtu 1400");
  for (const auto& at : {kIPv4, kIPv6}) {
    EXPECT_GT(iperf(at.node1, {"--reverse"}), 16'000'000) << at.node1;
    EXPECT_THAT(run_in("pod2", {"ip", "route", "get", at.client}).out, HasSubstr("mtu 1400"));
  }
}

// It tells node 1, which tells the client about its own packets.
TEST_F(DirectReturn, ARouterBetweenTheNodesThatTakesLess) {
  start({"--dsr"});
  serve_iperf();
  cluster_.in("node1",
              "ip route replace 10.1.2.0/24 via 192.0.2.1;"
              "ip -6 route replace fd00:1:2::/64 via 2001:db8::1");
  cluster_.in("router",
              "sysctl -qw net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.br0.send_redirects=0;"
              "ip route add 10.1.2.0/24 via 192.0.2.11 mtu 1400;"
              "ip -6 route add fd00:1:2::/64 via 2001:db8::11 mtu 1400");
  for (const auto& at : {kIPv4, kIPv6}) {
    EXPECT_GT(iperf(at.node1, {}), 16'000'000) << at.node1;
    EXPECT_THAT(run_in("client", {"ip", "route", "get", host_of(at.node1)}).out,
                HasSubstr(at.client == kIPv4.client ? "mtu 1380" : "mtu 1360"));
  }
}

// Pods of node 2 refuse what node 1 has wrapped: their flows are masqueraded, and counted.
TEST_F(DirectReturn, ANodeWithoutTheFlag) {
  cluster_.start_agent(1, {"--dsr"});
  cluster_.start_agent(2);
  started_ = {1, 2};
  for (const auto& at : {kIPv4, kIPv6}) {
    SCOPED_TRACE(at.node1);
    auto& server = cluster_.serve("pod2", at.pod2, Protocol::TCP);
    EXPECT_EQ(cluster_.dial("client", at.node1, Protocol::TCP).backend, at.pod2)
        << "at the second try";
    EXPECT_EQ(host_of(server.last_client()), host_of(at.node1));
    cluster_.serve("pod2", at.pod2, Protocol::UDP);
    std::unique_ptr<UdpClient> client;
    cluster_.topology().inside("client", [&] {
      client = std::make_unique<UdpClient>(at.client == kIPv4.client ? Family::IPv4 : Family::IPv6);
    });
    EXPECT_TRUE(wait_until([&] { return client->ask(at.node1).backend == at.pod2; }));
  }
  EXPECT_THAT(cluster_.topolb(1, {"status"}).out, HasSubstr("node is without --dsr"));
}

TEST_F(DirectReturn, ConnectionsGoOnWithTheNextAgents) {
  start({"--dsr"});
  close_way_back_by_node1();
  serve_iperf();
  auto& client = start_iperf(kIPv4.node1, {"--time", "4"});
  for (const int node : {1, 2}) {
    cluster_.stop_agent(node, SIGKILL);
    cluster_.start_agent(node, {"--dsr"});
  }
  EXPECT_EQ(client.wait(), 0) << client.out();
}

// Node 2 can't answer itself or its own pod in the frontend's name: such a flow is masqueraded.
TEST_F(DirectReturn, ClientsOnTheBackendsNode) {
  start({"--dsr"});
  for (const auto protocol : {Protocol::TCP, Protocol::UDP}) {
    for (const auto& at : {kIPv4, kIPv6}) {
      SCOPED_TRACE(std::string(to_string(protocol)) + " " + at.node1);
      auto& server = cluster_.serve("pod2", at.pod2, protocol);
      for (const auto* place : {"node2", "pod2"}) {
        EXPECT_EQ(cluster_.dial(place, at.node1, protocol).backend, at.pod2) << place;
        EXPECT_EQ(host_of(server.last_client()), host_of(at.node1)) << place;
      }
    }
  }
}

TEST_F(DirectReturn, SwitchedOffAgain) {
  start({"--dsr"});
  auto& server = cluster_.serve("pod2", kIPv4.pod2, Protocol::UDP);
  std::unique_ptr<UdpClient> client;
  cluster_.topology().inside("client", [&] { client = std::make_unique<UdpClient>(Family::IPv4); });
  EXPECT_EQ(client->ask(kIPv4.node1).backend, kIPv4.pod2);
  EXPECT_EQ(host_of(server.last_client()), kIPv4.client);
  cluster_.stop_agent(1, SIGTERM);
  cluster_.start_agent(1);
  EXPECT_TRUE(wait_until([&] { return client->ask(kIPv4.node1).backend == kIPv4.pod2; }));
  EXPECT_EQ(host_of(server.last_client()), host_of(kIPv4.node1));
}

}  // namespace
}  // namespace topolb::test
