// SPDX-License-Identifier: Apache-2.0
// Everybody's own programs as clients, with two agents and no kube-proxy rule anywhere: curl, dig,
// iperf3, ping, traceroute.
#include <gmock/gmock.h>

#include "net/tc/programs_fixture.h"

namespace topolb::test {
namespace {

using ::testing::ElementsAre;
using ::testing::StartsWith;

/// The frontends of one family, all with the same backend.
struct Frontends {
  std::vector<std::string> from_outside;
  std::string cluster_ip;
  std::string backend;
};

TEST_F(ProgramsAsClients, CurlAndDigReachEveryServiceType) {
  cluster_.write("web.yaml", dual_stack_text(kWeb, {{.pod = 2}}));
  cluster_.write(
      "near.yaml",
      dual_stack_text(
          {.name = "near",
           .cluster_ips = "10.96.0.2, \"fd00:96::2\"",
           .spec = "type: LoadBalancer, externalIPs: [203.0.113.10, \"2001:db8:1::a\"]",
           .node_port = 30081,
           .status = "loadBalancer: {ingress: [{ip: 203.0.113.6}, {ip: \"2001:db8:1::6\"}]}"},
          {{.pod = 1}}));
  start({"--pod-devices", "pod*"});
  serve_pod(1);
  serve_pod(2);
  const std::vector<Frontends> all{
      {{kIPv4.node1, kIPv4.node2, kIPv4.balancer, kIPv4.external_ip},
       kIPv4.cluster_ip,
       host_of(kIPv4.pod2)},
      {{kIPv6.node1, kIPv6.node2, kIPv6.balancer, kIPv6.external_ip},
       kIPv6.cluster_ip,
       host_of(kIPv6.pod2)},
      {{"192.0.2.10:30081", "192.0.2.11:30081", "203.0.113.6:80", "203.0.113.10:80"},
       "10.96.0.2:80",
       host_of(kIPv4.pod1)},
      {{"[2001:db8::10]:30081", "[2001:db8::11]:30081", "[2001:db8:1::6]:80", "[2001:db8:1::a]:80"},
       "[fd00:96::2]:80",
       host_of(kIPv6.pod1)}};
  for (const auto& [from_outside, cluster_ip, backend] : all) {
    const auto check = [&, &backend = backend](const std::string& place,
                                               const std::string& frontend) {
      SCOPED_TRACE(place + " to " + frontend);
      EXPECT_THAT(curl(place, frontend), StartsWith(backend + " "));
      EXPECT_EQ(curl(place, frontend, "/bulk").size(), 1'000'000U);
      EXPECT_EQ(dig(place, frontend), backend);
    };
    for (const auto& frontend : from_outside) check("client", frontend);
    for (const auto* place : {"pod1", "pod2", "node1"}) {
      check(place, cluster_ip);
      check(place, from_outside.front());
      check(place, from_outside[2]);
    }
  }
}

TEST_F(ProgramsAsClients, IperfThroughOneNodeToAnother) {
  cluster_.write("web.yaml", dual_stack_text(kWeb, {{.pod = 2}}));
  start();
  serve_iperf();
  for (const auto& at : {kIPv4, kIPv6}) {
    // What lies in the buffers of both sockets at the end is not counted.
    EXPECT_GT(iperf(at.node1, {}), 16'000'000) << at.node1;
    EXPECT_GT(iperf(at.node1, {"--reverse"}), 16'000'000) << at.node1;
    EXPECT_GT(iperf(at.node1, {"--udp", "--length", "1200", "--bitrate", "300M"}), 0) << at.node1;
  }
}

TEST_F(ProgramsAsClients, PingAndTracerouteSeeRouters) {
  cluster_.write("web.yaml", dual_stack_text(kWeb, {{.pod = 2}}));
  start();
  serve_pod(2);
  for (const auto& at : {kIPv4, kIPv6}) {
    const auto node1 = host_of(at.node1);
    const auto router = at.client == kIPv4.client ? "198.51.100.1" : "2001:db8:5::1";
    for (const auto& address : {node1, host_of(at.node2)}) ping("client", address);
    ping("pod1", host_of(at.pod2));
    // Node 2 is hidden behind the address that was dialled, as kube-proxy has it.
    for (const auto* method : {"-U", "-T"}) {
      for (const auto& frontend : {at.node1, at.balancer}) {
        EXPECT_THAT(trace(frontend, method),
                    ElementsAre(router, node1, host_of(frontend), host_of(frontend)))
            << method << " " << frontend;
      }
    }
  }
}

}  // namespace
}  // namespace topolb::test
