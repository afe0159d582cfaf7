// SPDX-License-Identifier: Apache-2.0
// Connected UDP sockets whose backend goes away, in every network namespace.
#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <sched.h>
#include <sys/resource.h>

#include <cerrno>
#include <csignal>
#include <thread>

#include "agent_fixture.h"

namespace topolb::test {
namespace {

using ::testing::AnyOf;

const std::string kDns = "10.96.0.53:53";
const std::string kDns6 = "[fd00:96::53]:53";
const std::string kSentinel = "10.96.0.99:53";

const std::vector<std::string> kBackends{"10.1.0.1:53", "10.1.0.2:53", "10.1.0.9:53",
                                         "[fd00:1::1]:53", "[fd00:1::2]:53"};

/// Another network namespace, with servers of its own at the backends' addresses.
class Namespace {
 public:
  /// With a name, as container runtimes and ip-netns(8) make it; or of a process only.
  static Namespace named(const std::string& name) {
    run("ip netns add " + name);
    Namespace made(UniqueFd(::open(("/run/netns/" + name).c_str(), O_RDONLY | O_CLOEXEC)));
    made.name_ = name;
    return made;
  }
  static Namespace of_a_process() {
    UniqueFd fd;
    std::thread([&] {
      if (::unshare(CLONE_NEWNET) != 0) return;
      fd = UniqueFd(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    }).join();
    Namespace made(std::move(fd));
    made.process_ = std::make_unique<Process>(Words{"/bin/sleep", "1000"}, [fd = made.fd_.get()] {
      return ::setns(fd, CLONE_NEWNET) == 0;
    });
    return made;
  }
  Namespace(Namespace&&) = default;
  Namespace& operator=(Namespace&&) = delete;
  ~Namespace() {
    if (process_) process_->signal(SIGKILL);
    if (!name_.empty() && fd_) run("ip netns delete " + name_);
  }

  void within(const std::function<void()>& work) const {
    std::thread([&] {
      if (::setns(fd_.get(), CLONE_NEWNET) == 0) work();
    }).join();
  }

 private:
  explicit Namespace(UniqueFd fd) : fd_(std::move(fd)) {
    within([this] {
      run("ip link set lo up");
      for (const auto& backend : kBackends) {
        const auto address = socket_address(backend).address;
        const bool ipv6 = address.family() == Family::IPv6;
        run(fmt::format("ip address add {}/{} dev lo {}", address.to_string(), ipv6 ? 128 : 32,
                        ipv6 ? "nodad" : ""));
        servers_.push_back(std::make_unique<Server>(backend, Protocol::UDP));
      }
    });
  }

  std::string name_;
  UniqueFd fd_;
  std::vector<std::unique_ptr<Server>> servers_;
  std::unique_ptr<Process> process_;
};

class GoneSockets : public AgentTest {
 protected:
  GoneSockets() {
    for (const auto& backend : kBackends) serve(backend, Protocol::UDP);
    const std::string ports = "{name: main, port: 53, protocol: UDP}";
    write("dns.yaml", service_text({.name = "dns", .cluster_ip = "10.96.0.53", .ports = ports}));
    write("dns6.yaml", service_text({.name = "dns6", .cluster_ip = "fd00:96::53", .ports = ports}));
    write("sentinel.yaml",
          service_text({.name = "sentinel", .cluster_ip = "10.96.0.99", .ports = ports}));
    put_endpoints({{"10.1.0.1"}}, {{"fd00:1::1"}});
    put_sentinel({{"10.1.0.9"}});
  }

  void put(const std::string& service, const std::vector<EndpointText>& endpoints) const {
    replace(service + "-slice.yaml", slice_text(service, endpoints, "53", "UDP"));
  }
  void put_endpoints(const std::vector<EndpointText>& ipv4,
                     const std::vector<EndpointText>& ipv6) const {
    put("dns", ipv4);
    put("dns6", ipv6);
  }
  void put_sentinel(const std::vector<EndpointText>& endpoints) const {
    put("sentinel", endpoints);
  }

  /// What the agent does about sockets, it has done for every change up to now.
  void wait_for_a_run() {
    ConnectedUdp sentinel(kSentinel);
    put_sentinel({});
    EXPECT_TRUE(wait_until([&] { return sentinel.take_error() == ECONNABORTED; }));
  }
};

/// Sockets of all kinds to what is 10.1.0.1 or fd00:1::1 at first.
struct Clients {
  std::vector<std::unique_ptr<ConnectedUdp>> through_services;
  std::vector<std::unique_ptr<ConnectedUdp>> direct;

  void open() {
    using Kind = SocketFamily;
    const auto add = [](auto& to, const std::string& address, Kind kind) {
      to.push_back(std::make_unique<ConnectedUdp>(address, kind));
    };
    add(through_services, kDns, Kind::Natural);
    add(through_services, kDns, Kind::MappedIpv6);
    add(through_services, kDns6, Kind::Natural);
    add(direct, "10.1.0.1:53", Kind::Natural);
    add(direct, "10.1.0.1:53", Kind::MappedIpv6);
    add(direct, "[fd00:1::1]:53", Kind::Natural);
  }
};

TEST_F(GoneSockets, AreEndedInEveryNamespaceAndDialAnew) {
  start_agent();
  const auto named = Namespace::named(fmt::format("topolb-test-{}", ::getpid()));
  const auto unnamed = Namespace::of_a_process();
  Clients clients;
  clients.open();
  named.within([&] { clients.open(); });
  unnamed.within([&] { clients.open(); });
  for (const auto& client : clients.through_services) {
    EXPECT_THAT(client->ask(), AnyOf("10.1.0.1:53", "[fd00:1::1]:53"));
  }
  put_endpoints({{"10.1.0.2"}}, {{"fd00:1::2"}});
  for (const auto& client : clients.through_services) {
    EXPECT_TRUE(wait_until([&] { return client->take_error() == ECONNABORTED; }))
        << client->address();
    EXPECT_EQ(client->send_error(), EDESTADDRREQ);
  }
  for (const auto& client : clients.direct) EXPECT_EQ(client->ask(), client->address());
  for (const auto& client : clients.through_services) {
    client->connect_to(client->address());
    EXPECT_THAT(client->ask(), AnyOf("10.1.0.2:53", "[fd00:1::2]:53"));
  }
  const auto ended = std::to_string(clients.through_services.size());
  EXPECT_TRUE(wait_until([&] { return metric("topolb_ended_udp_sockets_total") == ended; }))
      << metric("topolb_ended_udp_sockets_total");
}

TEST_F(GoneSockets, BackendsThatAreOnlyOutOfUseKeepTheirSockets) {
  start_agent();
  ConnectedUdp client(kDns);
  const std::vector<std::string> states{
      "conditions: {ready: false, serving: true, terminating: true}",
      "conditions: {ready: false, serving: false, terminating: true}",
      "conditions: {ready: false}"};
  for (const auto& state : states) {
    put("dns", {{"10.1.0.1", "", state}, {"10.1.0.2"}});
    EXPECT_TRUE(wait_until([] { return dial_connected_udp(kDns).backend == "10.1.0.2:53"; }));
    put_sentinel({{"10.1.0.9"}});
    EXPECT_TRUE(wait_until([] { return dial_connected_udp(kSentinel).error == 0; }));
    wait_for_a_run();
    EXPECT_EQ(client.ask(), "10.1.0.1:53") << state;
  }
}

TEST_F(GoneSockets, ATierThatChangesIsNoReason) {
  write("n1.yaml", node_text("n1", {{"rack", "a"}}));
  write("n2.yaml", node_text("n2", {{"rack", "b"}}));
  write("dns.yaml", service_text({.name = "dns",
                                  .cluster_ip = "10.96.0.53",
                                  .metadata = keys("rack,*"),
                                  .ports = "{name: main, port: 53, protocol: UDP}"}));
  put("dns", {{"10.1.0.1", "n2"}});
  start_agent();
  ConnectedUdp client(kDns);
  put("dns", {{"10.1.0.1", "n2"}, {"10.1.0.2", "n1"}});
  EXPECT_TRUE(wait_until([] { return dial_connected_udp(kDns).backend == "10.1.0.2:53"; }));
  wait_for_a_run();
  EXPECT_EQ(client.ask(), "10.1.0.1:53");
}

TEST_F(GoneSockets, ThoseOfTheSameSocketThatDialsTheBackendItselfLater) {
  start_agent();
  ConnectedUdp client(kDns);
  client.connect_to("10.1.0.1:53");
  put_endpoints({{"10.1.0.2"}}, {});
  wait_for_a_run();
  EXPECT_EQ(client.ask(), "10.1.0.1:53");
}

// It dialled the backend itself, whatever else it sends.
TEST_F(GoneSockets, ThoseThatAreConnectedDirectlyAndSendToTheServiceToo) {
  start_agent();
  const Connection direct("10.1.0.1:53", Protocol::UDP);
  EXPECT_EQ(direct.send_to(kDns), 0);
  Connection later(kDns, Protocol::UDP);
  EXPECT_EQ(later.connect("10.1.0.1:53"), "10.1.0.1:53");
  EXPECT_EQ(later.send_to(kDns), 0);
  put_endpoints({{"10.1.0.2"}}, {});
  wait_for_a_run();
  EXPECT_EQ(direct.peer(), "10.1.0.1:53");
  EXPECT_EQ(later.peer(), "10.1.0.1:53");
}

TEST_F(GoneSockets, BackendsThatWentWhileNoAgentRan) {
  start_agent();
  ConnectedUdp client(kDns);
  EXPECT_EQ(stop_agent(SIGTERM), 0);
  put_endpoints({{"10.1.0.2"}}, {});
  start_agent();
  EXPECT_TRUE(wait_until([&] { return client.take_error() == ECONNABORTED; }));
}

// What it compares with is in maps that are replaced by larger ones.
TEST_F(GoneSockets, AfterTheMapsHaveGrown) {
  start_agent();
  EXPECT_EQ(stop_agent(SIGTERM), 0);
  start_agent();
  ConnectedUdp client(kDns);
  std::string many;
  for (int i = 0; i < 300; ++i) {
    many += "---\n" + service_text({.name = fmt::format("other{}", i),
                                    .cluster_ip = fmt::format("10.97.{}.{}", i / 250, i % 250)});
  }
  write("many.yaml", many);
  EXPECT_TRUE(agent().wait_for("the maps have more room"));
  put_endpoints({{"10.1.0.2"}}, {});
  EXPECT_TRUE(wait_until([&] { return client.take_error() == ECONNABORTED; }));
}

// More of them than the agent may have descriptors.
TEST_F(GoneSockets, AmongManyNamespaces) {
  std::vector<Namespace> namespaces;
  for (int i = 0; i < 120; ++i) {
    namespaces.push_back(Namespace::named(fmt::format("topolb-test-{}-{}", ::getpid(), i)));
  }
  start_agent();
  const rlimit few{.rlim_cur = 100, .rlim_max = 100};
  ASSERT_EQ(::prlimit(agent().pid(), RLIMIT_NOFILE, &few, nullptr), 0);
  std::vector<std::unique_ptr<ConnectedUdp>> clients;
  for (const auto& one : namespaces) {
    one.within([&] { clients.push_back(std::make_unique<ConnectedUdp>(kDns)); });
  }
  put_endpoints({{"10.1.0.2"}}, {});
  EXPECT_TRUE(wait_until([&] {
    std::erase_if(clients, [](const auto& one) { return one->take_error() == ECONNABORTED; });
    return clients.empty();
  })) << clients.size();
}

TEST_F(GoneSockets, AServiceWithoutAnyBackend) {
  start_agent();
  ConnectedUdp client(kDns);
  remove("dns.yaml");
  EXPECT_TRUE(wait_until([&] { return client.take_error() == ECONNABORTED; }));
}

}  // namespace
}  // namespace topolb::test
