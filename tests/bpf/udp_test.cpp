// SPDX-License-Identifier: Apache-2.0
// Unconnected UDP sockets: one backend per frontend while it is usable, as conntrack keeps it.
#include <fmt/format.h>

#include "support/datapath_fixture.h"

namespace topolb::test {
namespace {

class Udp : public DatapathTest {
 protected:
  void SetUp() override {
    for (const auto& backend : backends_) servers_.push_back(serve(backend, Protocol::UDP));
  }

  const std::vector<std::string> backends_{"10.1.0.1:53", "10.1.0.2:53", "10.1.0.3:53",
                                           "10.1.0.4:53"};
  std::vector<std::unique_ptr<Server>> servers_;
};

TEST_F(Udp, ASocketKeepsItsBackend) {
  start({service("dns", "10.96.0.10:53", Protocol::UDP, traffic({{"", backends_}}))});
  UdpClient client(Family::IPv4);
  const auto first = client.ask("10.96.0.10:53").backend;
  for (int i = 0; i < 30; ++i) ASSERT_EQ(client.ask("10.96.0.10:53").backend, first);
}

TEST_F(Udp, SocketsChooseForThemselves) {
  start({service("dns", "10.96.0.10:53", Protocol::UDP, traffic({{"", backends_}}))});
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) seen.insert(UdpClient(Family::IPv4).ask("10.96.0.10:53").backend);
  EXPECT_EQ(seen.size(), backends_.size());
}

TEST_F(Udp, ItMovesAtOnceWhenTheBackendIsUnusableOrGone) {
  const auto dns = [](const std::vector<std::string>& backends) {
    return service("dns", "10.96.0.10:53", Protocol::UDP, traffic({{"", backends}}));
  };
  start({dns(backends_)});
  UdpClient client(Family::IPv4);
  const auto first = client.ask("10.96.0.10:53");
  set_state(first.backend, TOPOLB_BACKEND_UNUSABLE);
  const auto second = client.ask("10.96.0.10:53");
  EXPECT_NE(second.backend, first.backend);
  EXPECT_EQ(second.peer, "10.96.0.10:53");
  auto others = backends_;
  std::erase(others, second.backend);
  std::erase(others, first.backend);
  change_to({dns(others)});
  const auto third = client.ask("10.96.0.10:53");
  EXPECT_NE(third.backend, second.backend);
  EXPECT_EQ(third.peer, "10.96.0.10:53");
  change_to({service("dns", "10.96.0.10:53", Protocol::UDP, refused(core::Verdict::Reject))});
  EXPECT_EQ(client.ask("10.96.0.10:53").error, ECONNREFUSED);
}

TEST_F(Udp, OneSocketTalksToSeveralFrontends) {
  std::vector<core::ServicePortPlan> plan;
  for (int i = 1; i <= 3; ++i) {  // as musl's resolver does with three nameservers
    plan.push_back(service(fmt::format("dns{}", i), fmt::format("10.96.0.1{}:53", i), Protocol::UDP,
                           traffic({{"", {backends_[static_cast<std::size_t>(i)]}}})));
  }
  start(plan);
  UdpClient client(Family::IPv4);
  for (int round = 0; round < 3; ++round) {
    for (int i = 1; i <= 3; ++i) {
      const auto frontend = fmt::format("10.96.0.1{}:53", i);
      const auto seen = client.ask(frontend);
      EXPECT_EQ(seen.backend, backends_[static_cast<std::size_t>(i)]);
      EXPECT_EQ(seen.peer, frontend);
    }
  }
}

TEST_F(Udp, MoreFrontendsThanAreRememberedStillWork) {
  std::vector<core::ServicePortPlan> plan;
  constexpr int kFrontends = 3 * TOPOLB_PEERS_PER_UDP_SOCKET;
  for (int i = 0; i < kFrontends; ++i) {
    plan.push_back(service(fmt::format("dns{}", i), fmt::format("10.96.1.{}:53", i), Protocol::UDP,
                           traffic({{"", backends_}})));
  }
  std::sort(plan.begin(), plan.end(), [](auto& a, auto& b) { return a.key < b.key; });
  start(plan);
  UdpClient client(Family::IPv4);
  for (int i = 0; i < kFrontends; ++i) {
    const auto frontend = fmt::format("10.96.1.{}:53", i);
    EXPECT_EQ(client.ask(frontend).peer, frontend);
  }
}

}  // namespace
}  // namespace topolb::test
