// SPDX-License-Identifier: Apache-2.0
// The addresses that backends on other nodes see: which one a flow gets, and that it keeps it while
// the node's change, agents come and go, and their maps are made anew. Sources: kube-proxy's
// MASQUERADE (iptables-extensions(8)) and its conntrack entries; docs/decisions/0048.
#include <gmock/gmock.h>

#include <csignal>
#include <memory>

#include "dataplane/bpf_map.h"
#include "maps/flow_table.h"
#include "net/tc/programs_fixture.h"

namespace topolb::test {
namespace {

using ::testing::HasSubstr;

class Masquerade : public ProgramsAsClients {
 protected:
  /// A client of UDP, and whom the backend sees.
  struct Datagrams {
    const Places& at;
    Server& server;
    std::unique_ptr<UdpClient> client;
    std::string source;
  };

  Masquerade() {
    cluster_.write("web.yaml", dual_stack_text(kWeb, {{.pod = 2}}));
    // Second addresses, which the kernel takes when it is told to.
    cluster_.in("node1",
                "sysctl -qw net.ipv4.conf.eth0.promote_secondaries=1;"
                "ip addr add 192.0.2.77/24 dev eth0;"
                "ip addr add 2001:db8::77/64 dev eth0 nodad preferred_lft 0");
  }

  /// Node 1's own packets to the world come from these; new flows, soon.
  void use_addresses(const std::string& ipv4, const std::string& ipv6) {
    cluster_.in("node1", "ip -6 route replace 2001:db8::1 dev eth0 src " + ipv6 +
                             "; ip route change default via 192.0.2.1 src " + ipv4);
    expect_new_flows_from(ipv4, ipv6);
  }

  /// The pods of node 2 are reached by a second network, as with an overlay or a network card of
  /// the cluster's own.
  void add_second_network() const {
    cluster_.in("node1", "ip link add cluster0 type veth peer name cluster0 netns " +
                             cluster_.topology().netns_path("node2"));
    cluster_.in("node2",
                "ip link set cluster0 up; ip addr add 10.99.0.2/24 dev cluster0;"
                "ip addr add fd00:99::2/64 dev cluster0 nodad");
    cluster_.in("node1",
                "ip link set cluster0 up; ip addr add 10.99.0.1/24 dev cluster0;"
                "ip addr add fd00:99::1/64 dev cluster0 nodad;"
                "ip route change 10.1.2.0/24 via 10.99.0.2;"
                "ip -6 route del fd00:1:2::/64; ip -6 route add fd00:1:2::/64 via fd00:99::2");
  }

  void open_datagrams() {
    for (const auto& at : {std::ref(kIPv4), std::ref(kIPv6)}) {
      auto& server = cluster_.serve("pod2", at.get().pod2, Protocol::UDP);
      auto& flow = datagrams_.emplace_back(Datagrams{at, server, nullptr, ""});
      const auto family = socket_address(flow.at.node1).address.family();
      cluster_.topology().inside("client",
                                 [&] { flow.client = std::make_unique<UdpClient>(family); });
      ASSERT_EQ(flow.client->ask(flow.at.balancer).backend, flow.at.pod2);
      flow.source = server.last_client();
    }
  }

  void expect_datagrams_go_on(const std::string& when) {
    for (auto& flow : datagrams_) {
      EXPECT_EQ(flow.client->ask(flow.at.balancer).backend, flow.at.pod2) << when;
      EXPECT_EQ(flow.server.last_client(), flow.source) << when;
    }
  }

  void expect_new_flows_from(const std::string& ipv4, const std::string& ipv6) {
    for (auto& flow : datagrams_) {
      const auto& expected = &flow.at == &kIPv4 ? ipv4 : ipv6;
      EXPECT_TRUE(wait_until([&] {
        EXPECT_EQ(cluster_.dial("client", flow.at.balancer, Protocol::UDP).backend, flow.at.pod2);
        return host_of(flow.server.last_client()) == expected;
      })) << flow.server.last_client();
    }
  }

  template <typename Row>
  void make_layout_another(const std::string& map) const {
    auto fd = dataplane::open_pinned(dataplane::pin_of_map(cluster_.pin_path(1), map));
    ASSERT_TRUE(fd) << fd.error().message();
    auto rows =
        dataplane::MappedArray<Row>::from_fd(std::move(*fd), map, dataplane::Access::ReadWrite);
    ASSERT_TRUE(rows) << rows.error().message();
    (*rows)[0].layout_version = TOPOLB_LAYOUT_VERSION - 1;
  }

  std::vector<Datagrams> datagrams_;
};

TEST_F(Masquerade, FlowsKeepTheirAddressWhenTheNodesChanges) {
  start();
  open_datagrams();
  serve_iperf();
  auto* client = &start_iperf(kIPv4.balancer, {"--time", "4"});
  use_addresses("192.0.2.77", "2001:db8::77");
  expect_datagrams_go_on("another address");
  EXPECT_EQ(client->wait(), 0) << client->out();
  client = &start_iperf(kIPv6.balancer, {"--time", "4"});
  use_addresses("192.0.2.10", "2001:db8::10");
  expect_datagrams_go_on("the first one again");
  EXPECT_EQ(client->wait(), 0) << client->out();
}

TEST_F(Masquerade, FlowsKeepTheirAddressUnderTheNextAgents) {
  start();
  open_datagrams();
  const Words other_address{"--node-ip", "192.0.2.77,2001:db8::77"};
  Words other_sizes = other_address;
  other_sizes.insert(other_sizes.end(), {"--max-backends", "100", "--max-flows", "4096"});
  for (const auto& flags : {other_address, other_sizes}) {
    cluster_.stop_agent(1, SIGTERM);
    expect_datagrams_go_on("no agent");
    cluster_.start_agent(1, flags);
    expect_datagrams_go_on("the next agent");
    expect_new_flows_from("192.0.2.77", "2001:db8::77");
  }
}

// No replies come to the old one any more, once its neighbours have forgotten it. Connections are
// reset, as by kube-proxy, which forgets them too; the next datagram gets another address.
TEST_F(Masquerade, FlowsOfAnAddressThatTheNodeHasLostEnd) {
  start();
  open_datagrams();
  serve_iperf();
  auto& connection = start_iperf(kIPv4.balancer, {"--time", "1000"});
  cluster_.in("router",
              "ip route change 203.0.113.0/24 via 192.0.2.77;"
              "ip -6 route change 2001:db8:1::/64 via 2001:db8::77");
  cluster_.in("node1",
              "ip addr change 2001:db8::77/64 dev eth0 preferred_lft forever;"
              "ip addr del 192.0.2.10/24 dev eth0; ip addr del 2001:db8::10/64 dev eth0;"
              "ip route replace default via 192.0.2.1");
  for (auto& flow : datagrams_) {
    const std::string second = &flow.at == &kIPv4 ? "192.0.2.77" : "2001:db8::77";
    EXPECT_TRUE(wait_until([&] {
      return flow.client->ask(flow.at.balancer).backend == flow.at.pod2 &&
             host_of(flow.server.last_client()) == second;
    })) << flow.server.last_client();
  }
  EXPECT_EQ(connection.wait(), 1);
  EXPECT_THAT(connection.out() + connection.err(), HasSubstr("Connection reset by peer"));
}

TEST_F(Masquerade, BackendsBehindASecondNetworkSeeTheAddressThere) {
  start();
  add_second_network();
  // A packet with node 1's first address is refused there, and an answer to it goes nowhere.
  cluster_.in("node2",
              "sysctl -qw net.ipv4.conf.all.rp_filter=1 net.ipv4.conf.cluster0.rp_filter=1;"
              "ip -6 route add blackhole 2001:db8::10");
  for (const auto& [at, own] : {std::pair{kIPv4, "10.99.0.1"}, std::pair{kIPv6, "fd00:99::1"}}) {
    for (const auto protocol : {Protocol::TCP, Protocol::UDP}) {
      auto& server = cluster_.serve("pod2", at.pod2, protocol);
      EXPECT_TRUE(cluster_.comes_to("client", at.node1, at.pod2, protocol)) << at.node1;
      EXPECT_EQ(host_of(server.last_client()), own);
      cluster_.stop_agent(1, SIGKILL);
      EXPECT_EQ(cluster_.dial("client", at.node1, protocol).backend, at.pod2) << "no agent";
      cluster_.start_agent(1);
      EXPECT_EQ(cluster_.dial("client", at.node1, protocol).backend, at.pod2) << "the next agent";
      EXPECT_EQ(host_of(server.last_client()), own);
    }
  }
}

// Replies must come back by a device that the path is on.
TEST_F(Masquerade, ADeviceWithoutThePathGivesNoAddress) {
  start({"--devices", "eth0"});
  add_second_network();
  for (const auto& at : {kIPv4, kIPv6}) {
    for (const auto protocol : {Protocol::TCP, Protocol::UDP}) {
      auto& server = cluster_.serve("pod2", at.pod2, protocol);
      EXPECT_TRUE(cluster_.comes_to("client", at.node1, at.pod2, protocol)) << at.node1;
      EXPECT_EQ(host_of(server.last_client()), host_of(at.node1));
    }
  }
}

TEST_F(Masquerade, FlowsOfAnotherLayoutAreNotTakenOver) {
  start();
  open_datagrams();
  cluster_.stop_agent(1, SIGKILL);
  make_layout_another<topolb_settings>("settings");
  make_layout_another<topolb_flow_facts>("flow_facts");
  cluster_.start_agent(1);
  EXPECT_EQ(cluster_.topolb(1, {"flow", "list"}).out, "No flows.\n");
  for (auto& flow : datagrams_) {
    EXPECT_EQ(flow.client->ask(flow.at.balancer).backend, flow.at.pod2);
    EXPECT_EQ(host_of(flow.server.last_client()), host_of(flow.at.node1));
  }
}

}  // namespace
}  // namespace topolb::test
