// SPDX-License-Identifier: Apache-2.0
// Services from outside and from pods, over real links with real sockets.
#include <arpa/inet.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <thread>

#include "dataplane/tc_devices.h"
#include "net/tc/topology.h"
#include "support/plans.h"
#include "support/sockets.h"

namespace topolb::test {
namespace {

struct Addresses {
  std::string node_port, unspecified, balancer, cluster_ip, near, far, refused;
};
const Addresses kIPv4{"192.0.2.10:30080", "0.0.0.0:30080", "203.0.113.5:80", "10.96.0.1:80",
                      "10.1.1.2:8080",    "10.1.2.2:8080", "203.0.113.6:80"};
const Addresses kIPv6{"[2001:db8::10]:30080", "[::]:30080",         "[2001:db8:1::5]:80",
                      "[fd00:96::1]:80",      "[fd00:1:1::2]:8080", "[fd00:1:2::2]:8080",
                      "[2001:db8:1::6]:80"};

core::ServicePortPlan plan_of(const std::string& name, const std::string& cluster_ip,
                              Protocol protocol, core::FrontendKind kind,
                              const std::string& frontend, const core::TrafficPlan& traffic) {
  auto plan = service(name, cluster_ip, protocol, traffic);
  add_frontend(plan, kind, frontend, traffic);
  return plan;
}

/// The error that a connected UDP socket gets for a datagram.
int error_of_datagram(const std::string& frontend) {
  const auto to = socket_address(frontend);
  const UniqueFd socket(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(to.port);
  std::copy(to.address.bytes().begin(), to.address.bytes().end(), address.sin6_addr.s6_addr);
  const timeval timeout{.tv_sec = 5, .tv_usec = 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
  EXPECT_EQ(::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  EXPECT_EQ(::send(socket.get(), "?", 1, 0), 1);
  char answer = 0;
  return ::recv(socket.get(), &answer, 1, 0) < 0 ? errno : 0;
}

class TcService : public ::testing::TestWithParam<dataplane::TcMethod> {
 protected:
  /// NodePort to the pod of the other node, load balancer to the pod here.
  void start() {
    std::vector<core::ServicePortPlan> plans;
    for (const auto protocol : {Protocol::TCP, Protocol::UDP}) {
      const std::string name(to_string(protocol));
      for (const auto* at : {&kIPv4, &kIPv6}) {
        const bool ipv4 = at == &kIPv4;
        plans.push_back(plan_of("far" + name, at->cluster_ip, protocol,
                                core::FrontendKind::NodePort, at->unspecified,
                                traffic({{"", {at->far}}})));
        plans.push_back(plan_of("near" + name, ipv4 ? "10.96.0.2:80" : "[fd00:96::2]:80", protocol,
                                core::FrontendKind::LoadBalancer, at->balancer,
                                traffic({{"", {at->near}}})));
        plans.push_back(plan_of("none" + name, ipv4 ? "10.96.0.3:80" : "[fd00:96::3]:80", protocol,
                                core::FrontendKind::LoadBalancer, at->refused,
                                refused(core::Verdict::Reject)));
      }
    }
    topology_.start(plans, {kIPv4.near, kIPv6.near}, GetParam());
  }

  std::unique_ptr<Server> serve(const std::string& pod, const std::string& address,
                                Protocol protocol) {
    std::unique_ptr<Server> server;
    topology_.inside(pod, [&] { server = std::make_unique<Server>(address, protocol); });
    return server;
  }

  Seen dial(const std::string& place, const std::string& frontend, Protocol protocol) {
    Seen seen;
    topology_.inside(place, [&] {
      seen = protocol == Protocol::TCP ? dial_tcp(frontend) : dial_connected_udp(frontend);
    });
    return seen;
  }

  int refusal(const std::string& place, const std::string& frontend, Protocol protocol) {
    int error = 0;
    topology_.inside(place, [&] {
      error = protocol == Protocol::TCP ? dial_tcp(frontend).error : error_of_datagram(frontend);
    });
    return error;
  }

  TcTopology topology_;
};

INSTANTIATE_TEST_SUITE_P(Methods, TcService,
                         ::testing::Values(dataplane::TcMethod::Link, dataplane::TcMethod::Filter),
                         [](const auto& info) {
                           return info.param == dataplane::TcMethod::Link ? "Link" : "Filter";
                         });

TEST_P(TcService, EveryKindOfClient) {
  start();
  for (const auto protocol : {Protocol::TCP, Protocol::UDP}) {
    for (const auto* at : {&kIPv4, &kIPv6}) {
      const auto near = serve("pod1", at->near, protocol);
      const auto far = serve("pod2", at->far, protocol);
      EXPECT_EQ(dial("client", at->node_port, protocol).backend, at->far);
      EXPECT_EQ(dial("client", at->balancer, protocol).backend, at->near);
      EXPECT_EQ(dial("client", at->balancer, protocol).peer, at->balancer);
      EXPECT_EQ(dial("node2", at->node_port, protocol).backend, at->far);
      EXPECT_EQ(dial("pod1", at->cluster_ip, protocol).backend, at->far);
      EXPECT_EQ(dial("pod1", at->balancer, protocol).backend, at->near) << "its own Service";
      for (const char* place : {"client", "pod1"}) {
        EXPECT_EQ(refusal(place, at->refused, protocol), ECONNREFUSED) << place << at->refused;
      }
    }
  }
}

/// Takes one connection and answers with the client's address and the number of bytes it sent.
void count_bytes(int listener) {
  sockaddr_in6 peer{};
  socklen_t length = sizeof(peer);
  const UniqueFd connection(::accept(listener, reinterpret_cast<sockaddr*>(&peer), &length));
  std::vector<char> buffer(1 << 16);
  std::size_t bytes = 0;
  for (;;) {
    const auto got = ::read(connection.get(), buffer.data(), buffer.size());
    if (got <= 0) break;
    bytes += static_cast<std::size_t>(got);
  }
  char text[INET6_ADDRSTRLEN];
  ::inet_ntop(AF_INET6, &peer.sin6_addr, text, sizeof(text));
  const std::string answer = std::string(text) + " " + std::to_string(bytes);
  (void)::write(connection.get(), answer.data(), answer.size());
}

UniqueFd listen_on(std::uint16_t port) {
  UniqueFd listener(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in6 any{};
  any.sin6_family = AF_INET6;
  any.sin6_port = htons(port);
  EXPECT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&any), sizeof(any)), 0);
  EXPECT_EQ(::listen(listener.get(), 1), 0);
  return listener;
}

/// Sends `bytes` to an IPv4 frontend; the server's answer.
std::string send_bytes(const std::string& frontend, std::size_t bytes) {
  const auto to = socket_address(frontend);
  const UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(to.port);
  std::copy(to.address.bytes().begin() + 12, to.address.bytes().end(),
            reinterpret_cast<std::uint8_t*>(&address.sin_addr));
  const timeval timeout{.tv_sec = 20, .tv_usec = 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
  if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    return "connect failed";
  }
  const std::vector<char> data(1 << 16, 'x');
  for (std::size_t sent = 0; sent < bytes;) {
    const auto now = ::write(socket.get(), data.data(), std::min(data.size(), bytes - sent));
    if (now <= 0) return "write failed";
    sent += static_cast<std::size_t>(now);
  }
  ::shutdown(socket.get(), SHUT_WR);
  std::string answer(100, '\0');
  const auto got = ::read(socket.get(), answer.data(), answer.size());
  answer.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return answer;
}

TEST_P(TcService, BulkAndWhoTheBackendSees) {
  constexpr std::size_t kBytes = 30'000'000;
  start();
  for (const auto& [pod, frontend, client] :
       {std::tuple{"pod1", kIPv4.balancer, "::ffff:198.51.100.7"},
        std::tuple{"pod2", kIPv4.node_port, "::ffff:192.0.2.10"}}) {
    UniqueFd listener;
    topology_.inside(pod, [&] { listener = listen_on(8080); });
    std::thread server([&] { count_bytes(listener.get()); });
    std::string answer;
    topology_.inside("client", [&] { answer = send_bytes(frontend, kBytes); });
    if (answer.empty() || answer.find("failed") != std::string::npos) {
      ::shutdown(listener.get(), SHUT_RDWR);
    }
    server.join();
    EXPECT_EQ(answer, std::string(client) + " " + std::to_string(kBytes));
  }
}

TEST_P(TcService, SmallerMtuOnTheWayToTheBackend) {
  run("ip route change 10.1.2.0/24 via 192.0.2.11 mtu 1300");
  start();
  UniqueFd listener;
  topology_.inside("pod2", [&] { listener = listen_on(8080); });
  std::thread server([&] { count_bytes(listener.get()); });
  std::string answer;
  topology_.inside("client", [&] { answer = send_bytes(kIPv4.node_port, 1'000'000); });
  if (answer.find("failed") != std::string::npos) ::shutdown(listener.get(), SHUT_RDWR);
  server.join();
  EXPECT_EQ(answer, "::ffff:192.0.2.10 1000000");
}

/// A filter of somebody else: on eth0's ingress, another priority.
bpf_tc_hook hook_of_eth0() {
  bpf_tc_hook hook{};
  hook.sz = sizeof(hook);
  hook.ifindex = static_cast<int>(::if_nametoindex("eth0"));
  hook.attach_point = BPF_TC_INGRESS;
  return hook;
}

bpf_tc_opts filter_of_others() {
  bpf_tc_opts options{};
  options.sz = sizeof(options);
  options.handle = 1;
  options.priority = 1;
  return options;
}

TEST_P(TcService, OthersFiltersStay) {
  start();
  auto hook = hook_of_eth0();
  const int made = bpf_tc_hook_create(&hook);
  ASSERT_TRUE(made == 0 || made == -EEXIST);
  auto theirs = filter_of_others();
  theirs.prog_fd = topology_.programs().egress();  // lets everything pass
  ASSERT_EQ(bpf_tc_attach(&hook, &theirs), 0);
  const auto near = serve("pod1", kIPv4.near, Protocol::TCP);
  EXPECT_EQ(dial("client", kIPv4.balancer, Protocol::TCP).backend, kIPv4.near);

  const dataplane::TcDevice eth0{static_cast<std::uint32_t>(hook.ifindex), "eth0"};
  for (const auto direction : {dataplane::TcDirection::Ingress, dataplane::TcDirection::Egress}) {
    const auto detached = dataplane::detach_tc(topology_.pin_path(), eth0, direction);
    EXPECT_TRUE(detached) << detached.error().message();
  }
  EXPECT_NE(dial("client", kIPv4.balancer, Protocol::TCP).backend, kIPv4.near);
  auto still_there = filter_of_others();
  EXPECT_EQ(bpf_tc_query(&hook, &still_there), 0);
}

TEST_P(TcService, AttachedAgainWithoutAGap) {
  start();
  const auto far = serve("pod2", kIPv4.far, Protocol::TCP);
  const dataplane::TcDevice eth0{::if_nametoindex("eth0"), "eth0"};
  for (int i = 0; i < 5; ++i) {
    const auto again =
        dataplane::attach_tc(topology_.pin_path(), eth0, dataplane::TcDirection::Ingress,
                             topology_.programs().ingress());
    ASSERT_TRUE(again) << again.error().message();
    EXPECT_EQ(dial("client", kIPv4.node_port, Protocol::TCP).backend, kIPv4.far);
  }
  // Whatever it is on by now: a link where a filter was tried first, too.
  const auto hooks = dataplane::read_tc_hooks(topology_.pin_path());
  EXPECT_EQ(hooks.size(), GetParam() == dataplane::TcMethod::Link ? 4U : 5U);
  for (const auto& hook : hooks) EXPECT_NE(hook.program_id, 0U) << hook.device.name;
}

TEST(TcDevices, DefaultRoutesNamesAndGlobs) {
  const TcTopology topology;
  const auto names = [](const std::vector<dataplane::TcDevice>& devices) {
    std::vector<std::string> result;
    for (const auto& device : devices) result.push_back(device.name);
    return result;
  };
  auto monitor = dataplane::TcDeviceMonitor::open();
  ASSERT_TRUE(monitor);
  auto found = dataplane::find_tc_devices({.external = {}, .addresses = {}, .pods = {"pod*"}});
  ASSERT_TRUE(found);
  EXPECT_EQ(names(found->external), std::vector<std::string>{"eth0"});
  EXPECT_EQ(names(found->pods), std::vector<std::string>{"pod1"});

  run("ip link add pod9 type veth peer name peer9");
  pollfd changed{.fd = monitor->fd(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(::poll(&changed, 1, 1000), 1);
  EXPECT_TRUE(monitor->drain());
  EXPECT_EQ(::poll(&changed, 1, 0), 0);
  run("ip route add 198.18.0.0/24 dev eth0");
  EXPECT_EQ(::poll(&changed, 1, 1000), 1);
  EXPECT_FALSE(monitor->drain()) << "no router";
  run("ip route add 198.19.0.0/24 nexthop via 10.1.1.2 dev pod1 nexthop via 192.0.2.1 dev eth0");
  EXPECT_EQ(::poll(&changed, 1, 1000), 1);
  EXPECT_TRUE(monitor->drain()) << "by routers";
  found = dataplane::find_tc_devices({.external = {}, .addresses = {}, .pods = {"pod*"}});
  ASSERT_TRUE(found);
  EXPECT_EQ(names(found->external), (std::vector<std::string>{"eth0", "pod1"}));
  run("ip route add 198.19.1.0/24 via 10.1.1.2");
  EXPECT_EQ(::poll(&changed, 1, 1000), 1);
  EXPECT_FALSE(monitor->drain()) << "known devices";
  run("ip route del 198.19.0.0/24; ip route del 198.19.1.0/24");
  found = dataplane::find_tc_devices(
      {.external = {"pod1", "gone0"}, .addresses = {}, .pods = {"pod*"}});
  ASSERT_TRUE(found);
  EXPECT_EQ(names(found->external), std::vector<std::string>{"pod1"});
  EXPECT_EQ(names(found->pods), std::vector<std::string>{"pod9"});
  run("ip route del default");
  run("ip -6 route del default");
  run("ip route del 10.1.2.0/24; ip -6 route del fd00:1:2::/64");
  found = dataplane::find_tc_devices(
      {.external = {}, .addresses = {*IpAddress::parse("10.1.1.1")}, .pods = {}});
  ASSERT_TRUE(found);
  EXPECT_EQ(names(found->external), std::vector<std::string>{"pod1"});
}

}  // namespace
}  // namespace topolb::test
