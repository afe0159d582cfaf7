// SPDX-License-Identifier: Apache-2.0
// NodePorts, and the addresses that the node gets and loses while the agent runs.
// Source: docs/decisions/0005-node-ports-by-wildcard.md.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <cerrno>
#include <csignal>

#include "agent_fixture.h"

namespace topolb::test {
namespace {

using ::testing::HasSubstr;

const std::string kBackend = "10.1.0.1:8080";

class NodePorts : public AgentTest {
 protected:
  NodePorts() {
    serve(kBackend);
    serve("[fd00:1::1]:8080");
    write("web.yaml",
          service_text({.name = "web",
                        .cluster_ip = "10.96.0.1",
                        .spec = "clusterIPs: [10.96.0.1, \"fd00:96::1\"], type: NodePort, "
                                "externalTrafficPolicy: Local",
                        .ports = "{name: main, port: 80, nodePort: 30080}"}) +
              slice_text("web", {{"10.1.0.1", "n2"}}) + slice_text("web", {{"fd00:1::1", "n2"}}));
  }
};

// externalTrafficPolicy: Local, and the backends are elsewhere: clients on the node are served all
// the same (design.md 3.3).
TEST_F(NodePorts, AnswerOnEveryAddressOfTheNode) {
  sandbox_.add_node_address("192.0.2.10");
  sandbox_.add_node_address("fd00:2::10");
  start_agent();
  for (const char* node : {"192.0.2.10", "127.0.0.1", "127.1.2.3", "0.0.0.0", "10.1.0.1"}) {
    EXPECT_EQ(dial_tcp(fmt::format("{}:30080", node)).backend, kBackend) << node;
  }
  for (const char* node : {"fd00:2::10", "::1", "::"}) {
    EXPECT_EQ(dial_tcp(fmt::format("[{}]:30080", node)).backend, "[fd00:1::1]:8080") << node;
  }
  EXPECT_EQ(dial_tcp("192.0.2.10:30081").error, ECONNREFUSED) << "no NodePort";
}

TEST_F(NodePorts, FollowTheNodesAddresses) {
  sandbox_.add_node_address("192.0.2.10");
  start_agent();
  EXPECT_EQ(dial_tcp("192.0.2.10:30080").backend, kBackend);
  run("ip route add unreachable 192.0.2.11");  // so that nobody waits while it is nobody's
  EXPECT_EQ(dial_tcp("192.0.2.11:30080").error, EHOSTUNREACH);
  sandbox_.add_node_address("192.0.2.11");
  EXPECT_TRUE(comes_to("192.0.2.11:30080", kBackend));
  sandbox_.add_node_address("fd00:2::11");
  EXPECT_TRUE(comes_to("[fd00:2::11]:30080", "[fd00:1::1]:8080"));
  run("ip address del 192.0.2.11/24 dev eth0");
  EXPECT_TRUE(fails_with("192.0.2.11:30080", EHOSTUNREACH));
  EXPECT_EQ(dial_tcp("192.0.2.10:30080").backend, kBackend);
}

TEST_F(NodePorts, CannotBeBoundOnTheNode) {
  start_agent();
  for (const char* local : {"0.0.0.0:30080", "127.0.0.1:30080", "[::]:30080", "[::1]:30080"}) {
    EXPECT_EQ(bind_error(local, Protocol::TCP), EADDRINUSE) << local;
  }
  EXPECT_EQ(bind_error("0.0.0.0:30081", Protocol::TCP), 0);
  EXPECT_EQ(kernel({"status"}).exit_code, 0);
  stop_agent(SIGTERM);
  EXPECT_EQ(bind_error("0.0.0.0:30080", Protocol::TCP), EADDRINUSE) << "still served";
  EXPECT_EQ(kernel({"cleanup"}).exit_code, 0);
  EXPECT_EQ(bind_error("0.0.0.0:30080", Protocol::TCP), 0);
}

// --scope opted-in leaves this Service, and its port, to kube-proxy.
TEST_F(NodePorts, OfServicesLeftToOthersAreNotProtected) {
  start_agent({"--scope", "opted-in"});
  EXPECT_EQ(bind_error("0.0.0.0:30080", Protocol::TCP), 0);
}

TEST_F(NodePorts, AmongTheNodesOwnPortsAreAProblemUntilReserved) {
  run("echo '20000 60999' > /proc/sys/net/ipv4/ip_local_port_range");
  start_agent();
  EXPECT_THAT(get("/v1/problems").body,
              HasSubstr("NodePort 30080 is among the ports that the kernel gives"));
  EXPECT_EQ(metric("topolb_problems{reason=\"NodePortsNotReserved\"}"), "1");
  run("echo 30000-32767 > /proc/sys/net/ipv4/ip_local_reserved_ports");
  EXPECT_TRUE(wait_until([] { return get("/v1/problems").body == "{\"problems\":[]}"; }));
  EXPECT_TRUE(agent().wait_for("Node n1: NodePortsNotReserved: solved"));
}

TEST_F(NodePorts, GoWithTheService) {
  start_agent();
  EXPECT_EQ(dial_tcp("127.0.0.1:30080").backend, kBackend);
  remove("web.yaml");
  EXPECT_TRUE(fails_with("127.0.0.1:30080", ECONNREFUSED));
}

}  // namespace
}  // namespace topolb::test
