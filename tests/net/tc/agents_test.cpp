// SPDX-License-Identifier: Apache-2.0
// Two real agents serve every kind of client, from outside and from pods, with no kube-proxy rule
// anywhere. Sources: issue of the per-packet path; design.md 3; kube-proxy's behaviour.
#include <gtest/gtest.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>

#include "dataplane/tc_attach.h"
#include "net/tc/agents_fixture.h"

namespace topolb::test {
namespace {

TEST_F(TcAgents, EveryServiceTypeFromOutsideAndFromPods) {
  cluster_.write("web.yaml", dual_stack_text(kWeb, {{.pod = 2}}));
  start({"--pod-devices", "pod*"});
  for (const auto protocol : {Protocol::TCP, Protocol::UDP}) {
    for (const auto& at : {kIPv4, kIPv6}) {
      SCOPED_TRACE(std::string(to_string(protocol)) + " " + at.node1);
      auto& server = cluster_.serve("pod2", at.pod2, protocol);
      EXPECT_EQ(cluster_.dial("client", at.node1, protocol).backend, at.pod2);
      EXPECT_EQ(host_of(server.last_client()), host_of(at.node1)) << "masqueraded by node 1";
      EXPECT_EQ(cluster_.dial("client", at.node2, protocol).backend, at.pod2);
      EXPECT_EQ(host_of(server.last_client()), at.client) << "its own node keeps the client";
      for (const auto& frontend : {at.balancer, at.external_ip}) {
        const auto seen = cluster_.dial("client", frontend, protocol);
        EXPECT_EQ(seen.backend, at.pod2) << frontend;
        EXPECT_EQ(seen.peer, frontend);
      }
      for (const auto& frontend : {at.cluster_ip, at.node1, at.balancer}) {
        EXPECT_EQ(cluster_.dial("pod1", frontend, protocol).backend, at.pod2) << frontend;
        EXPECT_EQ(host_of(server.last_client()), host_of(at.pod1)) << frontend;
      }
      EXPECT_EQ(cluster_.dial("pod2", at.cluster_ip, protocol).backend, at.pod2) << "hairpin";
    }
  }
  const auto status = cluster_.topolb(1, {"status"});
  EXPECT_NE(status.out.find("device eth0"), std::string::npos) << status.out;
  EXPECT_NE(status.out.find("device pod1"), std::string::npos) << status.out;
}

TEST_F(TcAgents, ExternalTrafficPolicyLocal) {
  cluster_.write("web.yaml",
                 dual_stack_text(web_with("externalTrafficPolicy: Local"), {{.pod = 2}}));
  start();
  for (const auto& at : {kIPv4, kIPv6}) {
    auto& server = cluster_.serve("pod2", at.pod2, Protocol::TCP);
    EXPECT_EQ(cluster_.dial("client", at.node2, Protocol::TCP).backend, at.pod2);
    EXPECT_EQ(host_of(server.last_client()), at.client);
    EXPECT_TRUE(cluster_.is_dropped("client", at.node1, 1));
  }
  // Nobody anywhere: refused at once.
  cluster_.write("web.yaml", dual_stack_text(web_with("externalTrafficPolicy: Local"), {}));
  for (const auto& at : {kIPv4, kIPv6}) {
    EXPECT_TRUE(wait_until(
        [&] { return cluster_.dial("client", at.node1, Protocol::TCP).error == ECONNREFUSED; }));
  }
}

TEST_F(TcAgents, SourceRangesAndProxyBalancers) {
  auto service = web_with("loadBalancerSourceRanges: [198.51.100.0/24, \"2001:db8:5::/64\"]");
  cluster_.write("web.yaml", dual_stack_text(service, {{.pod = 1}}));
  start();
  for (const auto& at : {kIPv4, kIPv6}) {
    cluster_.serve("pod1", at.pod1, Protocol::TCP);
    EXPECT_EQ(cluster_.dial("client", at.balancer, Protocol::TCP).backend, at.pod1);
    EXPECT_TRUE(cluster_.is_dropped("router", at.balancer, 1));
    EXPECT_EQ(cluster_.dial("router", at.external_ip, Protocol::TCP).backend, at.pod1);
    EXPECT_EQ(cluster_.dial("router", at.node1, Protocol::TCP).backend, at.pod1);
  }
  service.status =
      "loadBalancer: {ingress: [{ip: 203.0.113.5, ipMode: Proxy}, {ip: \"2001:db8:1::5\"}]}";
  cluster_.write("web.yaml", dual_stack_text(service, {{.pod = 1}}));
  cluster_.in("node1", "ip route add unreachable 203.0.113.5");
  EXPECT_TRUE(wait_until([&] {
    return cluster_.dial("client", kIPv4.balancer, Protocol::TCP).error == EHOSTUNREACH;
  })) << "the load balancer is asked, which is not here";
  EXPECT_EQ(cluster_.dial("client", kIPv6.balancer, Protocol::TCP).backend, kIPv6.pod1);
}

TEST_F(TcAgents, NodePortsAnswerWhereTheyShall) {
  cluster_.in("node1", "ip addr add 192.0.2.77/24 dev eth0");
  cluster_.write("web.yaml", dual_stack_text(kWeb, {{.pod = 1}}));
  cluster_.serve("pod1", kIPv4.pod1, Protocol::TCP);
  start();
  const auto answers = [&](const std::string& frontend) {
    return cluster_.dial("client", frontend, Protocol::TCP).backend == kIPv4.pod1;
  };
  EXPECT_TRUE(answers("192.0.2.10:30080"));
  EXPECT_FALSE(answers("192.0.2.77:30080")) << "not primary";
  cluster_.stop_agent(1, SIGTERM);
  cluster_.start_agent(1, {"--nodeport-addresses", "192.0.2.64/26"});
  EXPECT_FALSE(answers("192.0.2.10:30080"));
  EXPECT_TRUE(answers("192.0.2.77:30080"));
  cluster_.in("node1", "ip addr add 192.0.2.78/24 dev eth0");
  EXPECT_TRUE(wait_until([&] { return answers("192.0.2.78:30080"); }));
  cluster_.stop_agent(1, SIGTERM);
  cluster_.start_agent(1, {"--nodeport-addresses", "0.0.0.0/0"});
  for (const auto* frontend : {"192.0.2.10:30080", "192.0.2.77:30080"}) {
    EXPECT_TRUE(answers(frontend)) << frontend;
  }
}

TEST_F(TcAgents, DevicesComeAndGo) {
  cluster_.write("web.yaml", dual_stack_text(kWeb, {{.pod = 1}}));
  cluster_.serve("pod1", kIPv4.pod1, Protocol::TCP);
  start({"--pod-devices", "pod*"});
  const auto devices = [&] {
    std::string names;
    for (const auto& hook : dataplane::read_tc_hooks(cluster_.pin_path(1))) {
      names += (hook.direction == dataplane::TcDirection::Ingress ? "<" : ">") + hook.device.name;
    }
    return names;
  };
  const auto become = [&](const std::string& expected) {
    return wait_until([&] { return devices() == expected; });
  };
  ASSERT_TRUE(become("<eth0>eth0<pod1>pod1")) << devices();
  cluster_.in("node1", "ip link add pod8 type veth peer name other8");
  EXPECT_TRUE(become("<eth0>eth0<pod1>pod1<pod8>pod8")) << devices();
  cluster_.in("node1", "ip link del pod8; ip link add pod8 type veth peer name other8");
  EXPECT_TRUE(become("<eth0>eth0<pod1>pod1<pod8>pod8")) << devices() << ": made anew";
  cluster_.in("node1", "ip link set pod8 name gone8");
  EXPECT_TRUE(become("<eth0>eth0<pod1>pod1")) << devices();
  cluster_.in("node1", "ip link set other8 up; ip link set gone8 up");
  cluster_.in("node1", "ip route add default dev other8 metric 500");
  EXPECT_TRUE(become("<eth0>eth0<pod1>pod1<other8>other8")) << devices();

  // Somebody takes a program off.
  const auto link = "links/tc-ingress-" + std::to_string(::if_nametoindex("eth0"));
  const auto detached =
      run_to_end({"bpftool", "link", "detach", "pinned", cluster_.pin_path(1) + "/" + link});
  EXPECT_EQ(detached.exit_code, 0) << detached.err;
  EXPECT_TRUE(become("<eth0>eth0<pod1>pod1<other8>other8")) << devices() << ": repaired";
  EXPECT_TRUE(cluster_.comes_to("client", kIPv4.node1, kIPv4.pod1));
}

/// The answer to a datagram of so many bytes, which no link takes in one piece.
std::string answer_to_large_datagram(const std::string& frontend, std::size_t bytes) {
  const auto to = socket_address(frontend);
  const UdpClient client(Family::IPv6, SocketFamily::MappedIpv6);
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(to.port);
  std::copy(to.address.bytes().begin(), to.address.bytes().end(), address.sin6_addr.s6_addr);
  const std::string datagram(bytes, 'x');
  std::string answer(100, '\0');
  if (::connect(client.fd(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0)
    return "";
  if (::send(client.fd(), datagram.data(), bytes, 0) != static_cast<ssize_t>(bytes)) return "";
  const auto got = ::recv(client.fd(), answer.data(), answer.size(), 0);
  answer.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return answer;
}

TEST_F(TcAgents, FragmentedDatagramsToBackendsHereAndElsewhere) {
  cluster_.write("web.yaml", dual_stack_text(kWeb, {{.pod = 2}}));
  start();
  for (const auto& at : {kIPv4, kIPv6}) {
    cluster_.serve("pod2", at.pod2, Protocol::UDP);
    for (const auto& frontend : {at.node1, at.node2}) {
      std::string answer;
      cluster_.topology().inside("client",
                                 [&] { answer = answer_to_large_datagram(frontend, 5000); });
      EXPECT_EQ(answer, at.pod2) << frontend;
    }
  }
}

TEST_F(TcAgents, FlowsStayWithATerminatingBackendUntilItIsGone) {
  cluster_.write("web.yaml", dual_stack_text(kWeb, {{.pod = 2}}));
  start();
  for (const auto& pod : {kIPv4.pod1, kIPv4.pod2}) {
    cluster_.serve(pod == kIPv4.pod1 ? "pod1" : "pod2", pod, Protocol::UDP);
  }
  std::unique_ptr<UdpClient> client;
  cluster_.topology().inside("client", [&] { client = std::make_unique<UdpClient>(Family::IPv4); });
  EXPECT_EQ(client->ask(kIPv4.node1).backend, kIPv4.pod2);
  cluster_.write(
      "web.yaml",
      dual_stack_text(
          kWeb, {{.pod = 1},
                 {.pod = 2, .conditions = "ready: false, serving: true, terminating: true"}}));
  EXPECT_TRUE(cluster_.comes_to("client", kIPv4.node1, kIPv4.pod1, Protocol::UDP));
  EXPECT_EQ(client->ask(kIPv4.node1).backend, kIPv4.pod2) << "an open flow";
  cluster_.write("web.yaml", dual_stack_text(kWeb, {{.pod = 1}}));
  EXPECT_TRUE(wait_until([&] { return client->ask(kIPv4.node1).backend == kIPv4.pod1; }));
}

// Tables of workers that are pinned on node 1.
std::vector<std::filesystem::path> worker_pins(const AgentCluster& cluster) {
  std::vector<std::filesystem::path> pins;
  for (const auto& pin : std::filesystem::directory_iterator(cluster.pin_path(1) + "/links")) {
    if (pin.path().filename().string().starts_with("tc-workers-")) pins.push_back(pin.path());
  }
  return pins;
}

// Source: docs/decisions/0042.
TEST_F(TcAgents, WorkersAreKeptByTheirPin) {
  cluster_.write("web.yaml", dual_stack_text(kWeb, {{.pod = 2}}));
  cluster_.serve("pod2", kIPv4.pod2, Protocol::TCP);
  start();
  const auto missing = [&] {
    const auto status = cluster_.topolb(1, {"status"});
    return status.out.find("tc-workers") != std::string::npos;
  };
  ASSERT_EQ(worker_pins(cluster_).size(), 1U);
  EXPECT_FALSE(missing());
  cluster_.stop_agent(1, SIGKILL);
  EXPECT_EQ(cluster_.dial("client", kIPv4.node1, Protocol::TCP).backend, kIPv4.pod2)
      << "the kernel goes on";
  EXPECT_FALSE(missing());

  std::filesystem::remove(worker_pins(cluster_).front());
  EXPECT_TRUE(wait_until([&] {  // the kernel takes its time
    return cluster_.dial("client", kIPv4.node1, Protocol::TCP).backend.empty();
  })) << "nobody holds the workers";
  EXPECT_TRUE(missing()) << "and status says so";

  cluster_.start_agent(1);
  ASSERT_EQ(worker_pins(cluster_).size(), 1U);
  EXPECT_EQ(cluster_.dial("client", kIPv4.node1, Protocol::TCP).backend, kIPv4.pod2);
  std::filesystem::remove(worker_pins(cluster_).front());
  EXPECT_TRUE(missing());
  EXPECT_EQ(cluster_.dial("client", kIPv4.node1, Protocol::TCP).backend, kIPv4.pod2)
      << "the agent holds them";
  EXPECT_TRUE(wait_until([&] { return !worker_pins(cluster_).empty(); })) << "and pins them again";
  EXPECT_FALSE(missing());
}

TEST_F(TcAgents, RestartKeepsConnectionsAndCleanupLeavesNothing) {
  cluster_.write("web.yaml", dual_stack_text(kWeb, {{.pod = 2}}));
  cluster_.serve("pod2", kIPv4.pod2, Protocol::UDP);
  start({"--pod-devices", "pod*"});
  std::unique_ptr<UdpClient> client;
  cluster_.topology().inside("client", [&] { client = std::make_unique<UdpClient>(Family::IPv4); });
  EXPECT_EQ(client->ask(kIPv4.node1).backend, kIPv4.pod2);
  for (const int signal : {SIGTERM, SIGKILL}) {
    cluster_.stop_agent(1, signal);
    EXPECT_EQ(client->ask(kIPv4.node1).backend, kIPv4.pod2) << "no agent";
    cluster_.start_agent(1, {"--pod-devices", "pod*"});
    EXPECT_EQ(client->ask(kIPv4.node1).backend, kIPv4.pod2) << "the next agent";
  }
  cluster_.stop_agent(1, SIGTERM);
  EXPECT_EQ(cluster_.topolb(1, {"cleanup"}).exit_code, 0);
  EXPECT_NE(::access(cluster_.pin_path(1).c_str(), F_OK), 0);
  EXPECT_TRUE(cluster_.dial("client", kIPv4.node1, Protocol::UDP).backend.empty());

  cluster_.start_agent(1);
  EXPECT_EQ(dataplane::read_tc_hooks(cluster_.pin_path(1)).size(), 2U);
  cluster_.stop_agent(1, SIGTERM);
  cluster_.start_agent(1, {"--devices", "none"});
  EXPECT_TRUE(dataplane::read_tc_hooks(cluster_.pin_path(1)).empty()) << "switched off";
  EXPECT_TRUE(cluster_.dial("client", kIPv4.node1, Protocol::UDP).backend.empty());
}

}  // namespace
}  // namespace topolb::test
