// SPDX-License-Identifier: Apache-2.0
// The way of a packet to a backend and of the reply back, both families, both protocols.
// Sources: issue of the per-packet path; design.md 3; kube-proxy pkg/proxy/nftables (masquerading).
#include <gtest/gtest.h>
#include <net/if.h>

#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "dataplane/kernel_state.h"
#include "dataplane/masquerades.h"
#include "support/packet_path.h"

namespace topolb::test {
namespace {

struct Family4Or6 {
  const char* name;
  std::string client, node, node_port, load_balancer, cluster_ip, remote, local, pod;
  std::string unspecified;
};

const Family4Or6 kIPv4{"IPv4",           "198.51.100.7", "192.0.2.10",    "192.0.2.10:30080",
                       "203.0.113.5:80", "10.96.0.1:80", "10.1.0.5:8080", "10.2.0.2:8080",
                       "10.2.0.2",       "0.0.0.0:30080"};
const Family4Or6 kIPv6{"IPv6",
                       "[2001:db8:5::7]",
                       "[2001:db8::10]",
                       "[2001:db8::10]:30080",
                       "[2001:db8:1::5]:80",
                       "[fd00:96::1]:80",
                       "[fd00:1::5]:8080",
                       "[fd00:2::2]:8080",
                       "[fd00:2::2]",
                       "[::]:30080"};

struct Case {
  Family4Or6 family;
  Protocol protocol;
};

class TcForward : public ::testing::Test {
 protected:
  explicit TcForward(std::uint32_t flows = 4096) : path_(flows) {}

  /// Each on what the one before left in the tables: the programs are loaded once a test.
  void for_each_case(const std::function<void()>& check) {
    for (const auto& family : {kIPv4, kIPv6}) {
      for (const auto protocol : {Protocol::TCP, Protocol::UDP}) {
        case_ = {family, protocol};
        SCOPED_TRACE(std::string(family.name) + " " + std::string(to_string(protocol)));
        check();
      }
    }
  }
  [[nodiscard]] const Family4Or6& family() const { return case_.family; }

  void publish(const std::string& backend) {
    auto plan = service("web", family().cluster_ip, case_.protocol, traffic({{"", {backend}}}));
    add_frontend(plan, core::FrontendKind::NodePort, family().unspecified,
                 traffic({{"", {backend}}}));
    add_frontend(plan, core::FrontendKind::LoadBalancer, family().load_balancer,
                 traffic({{"", {backend}}}));
    path_.publish({plan}, {family().local});
  }

  [[nodiscard]] Bytes packet(const std::string& source, const std::string& destination,
                             std::uint8_t flags = kSyn) const {
    PacketSpec spec;
    spec.source = source;
    spec.destination = destination;
    spec.protocol = case_.protocol;
    spec.tcp_flags = flags;
    spec.payload = "hello";
    return build(spec);
  }

  static constexpr int kBackendsOfSubnet = 32;
  /// Each by a Service of its own.
  void dial_backends_of_subnet(const std::string& client, const std::string& services,
                               const std::string& backends, const std::string& port) {
    std::vector<core::ServicePortPlan> plan;
    for (int i = 1; i <= kBackendsOfSubnet; ++i) {
      const auto end = std::to_string(i) + port;
      plan.push_back(service("web" + std::to_string(i), services + end, Protocol::TCP,
                             traffic({{"", {backends + end}}})));
    }
    path_.publish(plan);
    for (int i = 1; i <= kBackendsOfSubnet; ++i) {
      path_.run(Hook::Ingress, packet(client + ":4000", services + std::to_string(i) + port));
    }
  }

  PacketPath path_;
  Case case_{kIPv4, Protocol::TCP};
};

TEST_F(TcForward, LeavesOtherPacketsAlone) {
  for_each_case([&] {
    publish(family().remote);
    for (const auto& destination :
         {family().node + ":22", family().node + ":30081", family().node + ":12345"}) {
      const auto sent = packet(family().client + ":40000", destination);
      for (const auto hook : {Hook::Ingress, Hook::PodIngress, Hook::Egress}) {
        const auto got = path_.run(hook, sent);
        EXPECT_EQ(got.action, kPass);
        EXPECT_EQ(got.frame, sent);
      }
    }
    EXPECT_EQ(path_.flows().count(), 0U);
  });
}

// --nodeport-addresses: the agent marks the node's addresses that answer.
TEST_F(TcForward, NodePortsAnswerOnMarkedAddressesOnly) {
  for_each_case([&] {
    publish(family().local);
    const bool ipv4 = family().name == std::string("IPv4");
    const std::string other = ipv4 ? "192.0.2.77" : "2001:db8::77";
    const auto sent =
        packet(family().client + ":40000", (ipv4 ? other : "[" + other + "]") + ":30080");
    const auto expect_left_alone = [&](const char* why) {
      const auto got = path_.run(Hook::Ingress, sent);
      EXPECT_EQ(got.action, kPass) << why;
      EXPECT_EQ(got.frame, sent) << why;
    };
    auto& addresses = path_.maps().node_addresses;
    const auto address = dataplane::to_wire(*IpAddress::parse(other));
    const auto mark = [&](std::uint32_t flags) {
      return addresses.put(address, {.interface_index = 1, .flags = flags});
    };
    expect_left_alone("not the node's");
    ASSERT_TRUE(mark(0));
    expect_left_alone("the node's, but not one for NodePorts");
    ASSERT_TRUE(mark(TOPOLB_NODE_ADDRESS_NODE_PORTS));
    EXPECT_EQ(path_.run(Hook::Ingress, sent).view().destination, family().local);
    ASSERT_TRUE(addresses.erase(address));

    const auto own = dataplane::to_wire(*IpAddress::parse(ipv4 ? "192.0.2.10" : "2001:db8::10"));
    const auto before = addresses.get(own);
    int port = 40001;  // each time another flow
    const auto dial_own = [&] {
      return path_.run(Hook::Ingress,
                       packet(family().client + ":" + std::to_string(port++), family().node_port));
    };
    const auto choose_rows = [&](bool answers) {
      dataplane::choose_node_port_rows(path_.settings(), [&](const IpAddress&) { return answers; });
    };
    choose_rows(false);
    EXPECT_EQ(dial_own().view().destination, family().local) << "by its mark";
    ASSERT_TRUE(addresses.put(own, {.interface_index = 1, .flags = 0}));
    EXPECT_EQ(dial_own().action, kPass) << "not one for NodePorts any more";
    choose_rows(true);
    EXPECT_EQ(dial_own().view().destination, family().local) << "by its row";
    ASSERT_TRUE(addresses.put(own, *before));
  });
}

TEST_F(TcForward, LocalBackendSeesTheClient) {
  for_each_case([&] {
    publish(family().local);
    for (const auto& frontend : {family().node_port, family().load_balancer, family().cluster_ip}) {
      const auto there = path_.run(Hook::Ingress, packet(family().client + ":40000", frontend));
      ASSERT_EQ(there.action, kPass);
      const auto request = there.view();
      EXPECT_EQ(request.destination, family().local);
      EXPECT_EQ(request.ttl, 64);  // the stack forwards it
      EXPECT_EQ(request.payload, "hello");
      EXPECT_TRUE(request.checksums_right);

      const auto back =
          path_.run(Hook::Egress, packet(family().local, request.source, kSyn | kAck));
      ASSERT_EQ(back.action, kPass);
      EXPECT_EQ(back.view().source, frontend);
      EXPECT_EQ(back.view().destination, family().client + ":40000");
      EXPECT_TRUE(back.view().checksums_right);
    }
  });
}

// Most packets need no look-up, by their port: none of these may be taken for one of them.
TEST_F(TcForward, EveryPortIsServed) {
  for_each_case([&] {
    const auto with_port = [](const std::string& text, int port) {
      return text.substr(0, text.rfind(':') + 1) + std::to_string(port);
    };
    std::vector<core::ServicePortPlan> plan;
    std::vector<std::pair<std::string, std::string>> served;  // frontend -> backend
    std::vector<std::string> local;
    for (const int port : {1, 127, 128, 8191, 8192, 29999, 32768, 50000, 65535}) {
      served.emplace_back(with_port(family().load_balancer, port),
                          with_port(family().local, 65536 - port));
      local.push_back(served.back().second);
      plan.push_back(service(std::to_string(port), with_port(family().cluster_ip, port),
                             case_.protocol, traffic({{"", {local.back()}}})));
      add_frontend(plan.back(), core::FrontendKind::LoadBalancer, served.back().first,
                   traffic({{"", {local.back()}}}));
    }
    path_.publish(plan, local);
    for (const auto& [frontend, backend] : served) {
      const auto there = path_.run(Hook::Ingress, packet(family().client + ":40000", frontend));
      EXPECT_EQ(there.view().destination, backend);
      const auto back = path_.run(Hook::Egress, packet(backend, there.view().source, kSyn | kAck));
      EXPECT_EQ(back.view().source, frontend);
    }
  });
}

TEST_F(TcForward, RemoteBackendSeesTheNode) {
  for_each_case([&] {
    publish(family().remote);
    const auto flows = path_.flows().count();
    const auto there =
        path_.run(Hook::Ingress, packet(family().client + ":40000", family().node_port));
    ASSERT_EQ(there.action, kRedirect);
    const auto request = there.view();
    EXPECT_EQ(request.destination, family().remote);
    EXPECT_EQ(request.source.substr(0, request.source.rfind(':')), family().node);
    EXPECT_EQ(request.ttl, 63);
    EXPECT_TRUE(request.checksums_right);

    const auto reply = packet(family().remote, request.source, kSyn | kAck);
    const auto back = path_.run(Hook::Ingress, reply);
    ASSERT_EQ(back.action, kRedirect);
    EXPECT_EQ(back.view().source, family().node_port);
    EXPECT_EQ(back.view().destination, family().client + ":40000");
    EXPECT_EQ(back.view().ttl, 63);
    EXPECT_TRUE(back.view().checksums_right);

    const auto again =
        path_.run(Hook::Ingress, packet(family().client + ":40000", family().node_port, kAck));
    EXPECT_EQ(again.view().source, request.source);
    EXPECT_EQ(path_.flows().count(), flows + 1);
  });
}

// The backends' network is not that of the node's address.
TEST_F(TcForward, FlowsHaveTheAddressOfTheDeviceByWhichTheyLeave) {
  const auto device = ::if_nametoindex("cluster0");
  const std::vector<dataplane::NodeAddress> addresses{{*IpAddress::parse("10.1.0.1"), device},
                                                      {*IpAddress::parse("fd00:1::1"), device}};
  const auto choose = [&](const std::vector<std::uint32_t>& devices) {
    const auto chosen = dataplane::choose_device_masquerades(path_.settings(), devices, addresses);
    EXPECT_TRUE(chosen);
  };
  for_each_case([&] {
    publish(family().remote);
    const std::string own = family().name == std::string("IPv4") ? "10.1.0.1:" : "[fd00:1::1]:";
    const auto request = [&](int port, std::uint8_t flags = kSyn) {
      const auto client = family().client + ":" + std::to_string(port);
      return path_.run(Hook::Ingress, packet(client, family().node_port, flags)).view();
    };
    choose({device});
    const auto first = request(40000);
    EXPECT_EQ(first.source.rfind(own, 0), 0U) << first.source;
    EXPECT_TRUE(first.checksums_right);
    const auto back = path_.run(Hook::Ingress, packet(family().remote, first.source, kSyn | kAck));
    ASSERT_EQ(back.action, kRedirect);
    EXPECT_EQ(back.view().destination, family().client + ":40000");
    EXPECT_EQ(request(40001).source.rfind(own, 0), 0U) << "by the route that is remembered";
    choose({});
    EXPECT_EQ(request(40000, kAck).source, first.source) << "a flow keeps its address";
    EXPECT_EQ(request(40002).source.rfind(family().node + ":", 0), 0U);
  });
}

TEST_F(TcForward, PodKeepsItsAddress) {
  for_each_case([&] {
    publish(family().remote);
    for (const auto& frontend : {family().cluster_ip, family().load_balancer, family().node_port}) {
      const auto there = path_.run(Hook::PodIngress, packet(family().pod + ":40000", frontend));
      ASSERT_EQ(there.action, kPass);
      EXPECT_EQ(there.view().destination, family().remote);
      EXPECT_EQ(there.view().source.substr(0, family().pod.size()), family().pod);
      const auto back =
          path_.run(Hook::Egress, packet(family().remote, there.view().source, kSyn | kAck));
      EXPECT_EQ(back.view().source, frontend);
      EXPECT_EQ(back.view().destination, family().pod + ":40000");
      EXPECT_TRUE(back.view().checksums_right);
    }
  });
}

TEST_F(TcForward, BackendThatDialsItsOwnService) {
  for_each_case([&] {
    publish(family().local);
    const auto there =
        path_.run(Hook::PodIngress, packet(family().pod + ":40000", family().cluster_ip));
    ASSERT_EQ(there.action, kRedirect);
    EXPECT_EQ(there.view().destination, family().local);
    EXPECT_EQ(there.view().source.rfind(family().node + ":", 0), 0U);
    const auto back =
        path_.run(Hook::PodIngress, packet(family().local, there.view().source, kSyn | kAck));
    ASSERT_EQ(back.action, kRedirect);
    EXPECT_EQ(back.view().source, family().cluster_ip);
    EXPECT_EQ(back.view().destination, family().pod + ":40000");
  });
}

TEST_F(TcForward, SumOfTheDeviceStaysRight) {
  for_each_case([&] {
    publish(family().remote);
    const auto there =
        path_.run_summed(Hook::Ingress, packet(family().client + ":40000", family().node_port));
    ASSERT_EQ(there.action, kRedirect);
    EXPECT_TRUE(there.view().checksums_right);
    const auto back =
        path_.run_summed(Hook::Ingress, packet(family().remote, there.view().source, kSyn | kAck));
    EXPECT_TRUE(back.view().checksums_right);
  });
}

int port_of(const std::string& address) {
  return std::stoi(address.substr(address.rfind(':') + 1));
}

struct TableAndPorts {
  std::uint32_t flows;
  int first_port;
};

class TcForwardPorts : public TcForward, public ::testing::WithParamInterface<TableAndPorts> {
 protected:
  TcForwardPorts() : TcForward(GetParam().flows) {}
  static int first_port() { return GetParam().first_port; }
};

// In tables of either kind, and at either end of what ports there are.
INSTANTIATE_TEST_SUITE_P(Tables, TcForwardPorts,
                         testing::Values(TableAndPorts{4096, 20000},
                                         TableAndPorts{TOPOLB_MAX_FLOWS, 20000},
                                         TableAndPorts{TOPOLB_MAX_FLOWS, 1},
                                         TableAndPorts{TOPOLB_MAX_FLOWS, 65532}));

TEST_P(TcForwardPorts, EachFlowHasAPortOfItsOwn) {
  for_each_case([&] {
    publish(family().remote);
    path_.settings().masquerade_port_min = first_port();
    path_.settings().masquerade_port_max = first_port() + 3;
    const auto before = path_.event(TOPOLB_EVENT_FLOW_WITHOUT_PORT);
    std::set<std::string> sources;
    int refused = 0;
    for (int port = 1; port <= 6; ++port) {
      const auto got = path_.run(
          Hook::Ingress, packet(family().client + ":" + std::to_string(port), family().node_port));
      if (got.action == kDrop) {
        ++refused;
      } else {
        EXPECT_TRUE(sources.insert(got.view().source).second);
        const auto source = port_of(got.view().source);
        EXPECT_GE(source, first_port());
        EXPECT_LE(source, first_port() + 3);
      }
    }
    EXPECT_EQ(sources.size(), 4U);
    EXPECT_EQ(refused, 2);
    EXPECT_EQ(path_.event(TOPOLB_EVENT_FLOW_WITHOUT_PORT), before + 2);
  });
}

// Backends of one subnet, whose addresses differ in the last bits only, are not to push each other
// out of what is remembered.
TEST_F(TcForward, RoutesOfASubnetsBackendsAreRemembered) {
  dial_backends_of_subnet(kIPv4.client, "10.96.0.", "10.1.255.", ":80");
  EXPECT_GE(path_.remembered_routes(), kBackendsOfSubnet * 3 / 4);
}

TEST_F(TcForward, RoutesOfAnIPv6SubnetsBackendsAreRemembered) {
  dial_backends_of_subnet(kIPv6.client, "[fd00:96::", "[fd00:1::", "]:80");
  EXPECT_GE(path_.remembered_routes(), kBackendsOfSubnet * 3 / 4);
}

TEST_F(TcForward, OneClientPortToTwoFrontends) {
  for_each_case([&] {
    publish(family().local);
    const auto first =
        path_.run(Hook::Ingress, packet(family().client + ":40000", family().node_port)).view();
    const auto second =
        path_.run(Hook::Ingress, packet(family().client + ":40000", family().load_balancer)).view();
    EXPECT_NE(first.source, second.source);
    EXPECT_EQ(path_.run(Hook::Egress, packet(family().local, first.source, kAck)).view().source,
              family().node_port);
    const auto back = path_.run(Hook::Egress, packet(family().local, second.source, kAck)).view();
    EXPECT_EQ(back.source, family().load_balancer);
    EXPECT_EQ(back.destination, family().client + ":40000");
  });
}

}  // namespace
}  // namespace topolb::test
