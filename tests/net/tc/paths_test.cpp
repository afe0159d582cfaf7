// SPDX-License-Identifier: Apache-2.0
// Connections through two agents while something on the way changes: links that take less,
// agents and backends that go; and whom topology keys and affinity send a client to.
#include <gmock/gmock.h>

#include <csignal>

#include "net/manifests.h"
#include "net/tc/programs_fixture.h"

namespace topolb::test {
namespace {

using ::testing::HasSubstr;

class Paths : public ProgramsAsClients {
 protected:
  /// Who answers that many connections from a place.
  std::set<std::string> answers(const std::string& place, const std::string& frontend) const {
    std::set<std::string> backends;
    for (int i = 0; i < 16; ++i) {
      backends.insert(cluster_.dial(place, frontend, Protocol::TCP).backend);
    }
    return backends;
  }
};

// The router's word about its link to the client reaches the pod, translated by node 1.
TEST_F(Paths, SmallerMtuOnTheWayToTheClient) {
  cluster_.write("web.yaml", dual_stack_text(kWeb, {{.pod = 2}}));
  start();
  serve_iperf();
  cluster_.in("router",
              "ip route add 198.51.100.7 dev r0 mtu 1400;"
              "ip -6 route add 2001:db8:5::7 dev r0 mtu 1400");
  for (const auto& at : {kIPv4, kIPv6}) {
    EXPECT_GT(iperf(at.node1, {"--reverse"}), 16'000'000) << at.node1;
    const auto route = run_in("pod2", {"ip", "route", "get", host_of(at.node1)});
    EXPECT_THAT(route.out, HasSubstr("mtu 1400"));
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

TEST_F(Paths, ConnectionsToABackendThatIsGoneAreReset) {
  cluster_.write("web.yaml", dual_stack_text(kWeb, {{.pod = 2}}));
  start();
  serve_iperf();
  auto& client = start_iperf(kIPv4.node1, {"--time", "1000"});
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
