// SPDX-License-Identifier: Apache-2.0
// A NodePort can't be bound on the node: whoever listened there would never get a packet.
// Source: issue "The per-packet path at TC" (NodePorts protected).
#include <sched.h>

#include <cerrno>
#include <thread>

#include "support/datapath_fixture.h"

namespace topolb::test {
namespace {

core::ServicePortPlan node_port(const std::string& name, const std::string& cluster_ip,
                                const std::string& frontend, Protocol protocol) {
  const bool ipv6 = frontend.front() == '[';
  const auto backends = traffic({{"", {ipv6 ? "[fd00:1::1]:80" : "10.1.0.1:80"}}});
  auto plan = service(name, cluster_ip, protocol, backends);
  add_frontend(plan, core::FrontendKind::NodePort, frontend, backends);
  return plan;
}

class Bind : public DatapathTest {
 protected:
  void SetUp() override { sandbox_.add_node_address("192.0.2.10"); }
};

TEST_F(Bind, ANodePortIsInUse) {
  start({node_port("web", "10.96.0.1:80", "0.0.0.0:30080", Protocol::TCP)});
  for (const auto* local : {"0.0.0.0:30080", "127.0.0.1:30080", "192.0.2.10:30080"}) {
    EXPECT_EQ(bind_error(local, Protocol::TCP), EADDRINUSE) << local;
    EXPECT_EQ(bind_error(local, Protocol::TCP, SocketFamily::MappedIpv6), EADDRINUSE) << local;
  }
  EXPECT_EQ(bind_error("[::]:30080", Protocol::TCP), EADDRINUSE) << "a socket on :: gets IPv4 too";
  EXPECT_EQ(bind_error("[::1]:30080", Protocol::TCP), 0) << "the Service has no IPv6";
}

TEST_F(Bind, OtherPortsAndProtocolsAreFree) {
  start({node_port("web", "10.96.0.1:80", "0.0.0.0:30080", Protocol::TCP),
         node_port("web2", "10.96.0.2:80", "0.0.0.0:30090", Protocol::TCP)});
  for (const auto* local : {"0.0.0.0:0", "0.0.0.0:80", "0.0.0.0:30079", "0.0.0.0:30085"}) {
    EXPECT_EQ(bind_error(local, Protocol::TCP), 0) << local;
  }
  EXPECT_EQ(bind_error("0.0.0.0:30080", Protocol::UDP), 0);
}

TEST_F(Bind, EachFamilyAndProtocolHasItsOwn) {
  start({node_port("dns", "10.96.0.1:53", "0.0.0.0:30053", Protocol::UDP),
         node_port("web", "[fd00:96::1]:80", "[::]:30080", Protocol::TCP)});
  EXPECT_EQ(bind_error("0.0.0.0:30053", Protocol::UDP), EADDRINUSE);
  EXPECT_EQ(bind_error("0.0.0.0:30053", Protocol::TCP), 0);
  EXPECT_EQ(bind_error("[::]:30080", Protocol::TCP), EADDRINUSE);
  EXPECT_EQ(bind_error("[::1]:30080", Protocol::TCP), EADDRINUSE);
  EXPECT_EQ(bind_error("0.0.0.0:30080", Protocol::TCP), 0);
}

TEST_F(Bind, TheSmallestAndLargestPortCount) {
  start({node_port("low", "10.96.0.1:80", "0.0.0.0:1", Protocol::TCP),
         node_port("high", "10.96.0.2:80", "0.0.0.0:65535", Protocol::TCP)});
  EXPECT_EQ(bind_error("0.0.0.0:1", Protocol::TCP), EADDRINUSE);
  EXPECT_EQ(bind_error("0.0.0.0:65535", Protocol::TCP), EADDRINUSE);
  EXPECT_EQ(bind_error("0.0.0.0:0", Protocol::TCP), 0);
}

TEST_F(Bind, APodsPortsAreItsOwn) {
  start({node_port("web", "10.96.0.1:80", "0.0.0.0:30080", Protocol::TCP)});
  int error = -1;
  std::thread([&] {
    ASSERT_EQ(::unshare(CLONE_NEWNET), 0);
    error = bind_error("0.0.0.0:30080", Protocol::TCP);
  }).join();
  EXPECT_EQ(error, 0);
}

TEST_F(Bind, ThePortGoesWithItsServiceAndOutlivesTheAgent) {
  start({node_port("web", "10.96.0.1:80", "0.0.0.0:30080", Protocol::TCP)});
  stop();
  EXPECT_EQ(bind_error("0.0.0.0:30080", Protocol::TCP), EADDRINUSE);
  start({});
  EXPECT_EQ(bind_error("0.0.0.0:30080", Protocol::TCP), 0);
}

}  // namespace
}  // namespace topolb::test
