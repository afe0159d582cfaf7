// SPDX-License-Identifier: Apache-2.0
// Pods behind a Linux bridge, as bridge CNIs set it up, whose sockets nobody sees: the per-packet
// path on the bridge's ports, on the bridge itself, and on both. No br_netfilter.
#include <gmock/gmock.h>

#include <cerrno>
#include <filesystem>
#include <string>

#include "net/tc/agents_fixture.h"

namespace topolb::test {
namespace {

const DualStackService kNobody{.name = "nobody", .cluster_ips = "10.96.0.2, \"fd00:96::2\""};

struct Backend {
  int pod;
  std::string ipv4, ipv6;
};
// Pod 3 is on pod 1's bridge.
const Backend kItself{1, "10.1.1.2", "fd00:1:1::2"};
const Backend kBesideIt{3, "10.1.1.3", "fd00:1:1::3"};
const Backend kElsewhere{2, "10.1.2.2", "fd00:1:2::2"};

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size())) {
    text.replace(at, what.size(), by);
  }
  return text;
}

class Bridge : public TcAgents, public ::testing::WithParamInterface<std::string> {
 protected:
  Bridge() {
    const auto pod3 = std::filesystem::path(netns("pod3")).filename().string();
    run("ip netns add " + pod3);
    cluster_.in("node1",
                "ip link add cni0 type bridge; ip link set cni0 address 02:00:00:00:01:01;"
                "ip addr flush dev pod1; ip link set pod1 master cni0; ip link set cni0 up;"
                "ip addr add 10.1.1.1/24 dev cni0; ip addr add fd00:1:1::1/64 dev cni0 nodad;"
                "ip link add pod3 master cni0 type veth peer name eth0 netns " +
                    pod3 +
                    ";"
                    "ip link set pod3 up");
    cluster_.in("pod3",
                "ip link set lo up; ip link set eth0 up; ip addr add 10.1.1.3/24 dev eth0;"
                "ip addr add fd00:1:1::3/64 dev eth0 nodad; ip route add default via 10.1.1.1;"
                "ip -6 route add default via fd00:1:1::1");
  }
  ~Bridge() override {
    run("ip netns del " + std::filesystem::path(netns("pod3")).filename().string());
  }

  [[nodiscard]] std::string netns(const std::string& place) const {
    return cluster_.topology().netns_path(place);
  }
  static std::string text(const Backend& backend) {
    auto text = dual_stack_text(kWeb, {{.pod = backend.pod == 2 ? 2 : 1}});
    text = replaced(text, "\"10.1.1.2\"", "\"" + backend.ipv4 + "\"");
    return replaced(text, "\"fd00:1:1::2\"", "\"" + backend.ipv6 + "\"");
  }
  void expect_serves(const Backend& backend) {
    cluster_.write("web.yaml", text(backend));
    const auto place = "pod" + std::to_string(backend.pod);
    for (const auto protocol : {Protocol::TCP, Protocol::UDP}) {
      for (const auto& [at, address] : {std::pair{kIPv4, backend.ipv4 + ":8080"},
                                        std::pair{kIPv6, "[" + backend.ipv6 + "]:8080"}}) {
        SCOPED_TRACE(std::string(to_string(protocol)) + " " + address);
        const auto& server = cluster_.serve(place, address, protocol);
        EXPECT_TRUE(cluster_.comes_to("pod1", at.cluster_ip, address, protocol));
        EXPECT_EQ(cluster_.dial("pod1", at.cluster_ip, protocol).peer, at.cluster_ip);
        EXPECT_EQ(host_of(server.last_client()), expected_client(backend, at));
        EXPECT_EQ(cluster_.dial("pod1", at.node1, protocol).backend, address) << "NodePort";
        EXPECT_EQ(cluster_.dial("client", at.node1, protocol).backend, address) << "from outside";
      }
    }
  }
  /// The client's own address, where the answer passes the device that the programs are on.
  static std::string expected_client(const Backend& backend, const Places& at) {
    const bool masqueraded = backend.pod == 1 || (backend.pod == 3 && GetParam() == "cni0");
    return host_of(masqueraded ? at.node1 : at.pod1);
  }
};

TEST_P(Bridge, APodReachesEveryBackend) {
  cluster_.write("web.yaml", text(kBesideIt));
  cluster_.write("nobody.yaml", dual_stack_text(kNobody, {}));
  start({"--pod-devices", GetParam()});
  for (const auto& backend : {kBesideIt, kElsewhere, kItself}) expect_serves(backend);
  for (const auto* nobody : {"10.96.0.2:80", "[fd00:96::2]:80"}) {
    EXPECT_EQ(cluster_.dial("pod1", nobody, Protocol::TCP).error, ECONNREFUSED) << nobody;
  }
}

// Its end of the link, the link's other ends, both.
INSTANTIATE_TEST_SUITE_P(On, Bridge, ::testing::Values("cni0", "pod*", "cni0,pod*"),
                         [](const auto& info) {
                           return std::string(info.param == "cni0"   ? "TheBridge"
                                              : info.param == "pod*" ? "ItsPorts"
                                                                     : "Both");
                         });

}  // namespace
}  // namespace topolb::test
