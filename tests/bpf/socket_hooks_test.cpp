// SPDX-License-Identifier: Apache-2.0
// connect() and its friends through the real hooks: what is dialled, who answers, what is shown.
// Source: design.md 3.4, 5.
#include <fmt/format.h>

#include <set>

#include "support/datapath_fixture.h"

namespace topolb::test {
namespace {

class SocketHooks : public DatapathTest {};

struct DialCase {
  const char* name;
  const char* frontend;
  const char* backend;
  SocketFamily family;
};

class EveryFamily : public SocketHooks, public ::testing::WithParamInterface<DialCase> {};

TEST_P(EveryFamily, TcpReachesTheBackendAndShowsTheFrontend) {
  const auto& c = GetParam();
  const auto server = serve(c.backend);
  start({service("web", c.frontend, Protocol::TCP, traffic({{"", {c.backend}}}))});
  const auto seen = dial_tcp(c.frontend, c.family);
  EXPECT_EQ(seen.error, 0);
  EXPECT_EQ(seen.backend, c.backend);
  EXPECT_EQ(seen.peer, c.frontend);
}

TEST_P(EveryFamily, ConnectedUdpReachesTheBackendAndShowsTheFrontend) {
  const auto& c = GetParam();
  const auto server = serve(c.backend, Protocol::UDP);
  start({service("dns", c.frontend, Protocol::UDP, traffic({{"", {c.backend}}}))});
  const auto seen = dial_connected_udp(c.frontend, c.family);
  EXPECT_EQ(seen.error, 0);
  EXPECT_EQ(seen.backend, c.backend);
  EXPECT_EQ(seen.peer, c.frontend);
}

TEST_P(EveryFamily, UnconnectedUdpReachesTheBackendAndShowsTheFrontend) {
  const auto& c = GetParam();
  const auto server = serve(c.backend, Protocol::UDP);
  start({service("dns", c.frontend, Protocol::UDP, traffic({{"", {c.backend}}}))});
  UdpClient client(socket_address(c.frontend).address.family(), c.family);
  const auto seen = client.ask(c.frontend);
  EXPECT_EQ(seen.error, 0);
  EXPECT_EQ(seen.backend, c.backend);
  EXPECT_EQ(seen.peer, c.frontend);
}

TEST_P(EveryFamily, RejectRefusesAtOnceAndDropIsUnreachable) {
  const auto& c = GetParam();
  for (const auto& [verdict, error] : {std::pair{core::Verdict::Reject, ECONNREFUSED},
                                       std::pair{core::Verdict::Drop, EHOSTUNREACH}}) {
    start({service("tcp", c.frontend, Protocol::TCP, refused(verdict)),
           service("udp", c.frontend, Protocol::UDP, refused(verdict))});
    EXPECT_EQ(dial_tcp(c.frontend, c.family).error, error);
    EXPECT_EQ(dial_connected_udp(c.frontend, c.family).error, error);
    UdpClient client(socket_address(c.frontend).address.family(), c.family);
    EXPECT_EQ(client.ask(c.frontend).error, error);
    stop();
  }
}

INSTANTIATE_TEST_SUITE_P(SocketHooks, EveryFamily,
                         ::testing::Values(DialCase{"IPv4", "10.96.0.1:80", "10.1.0.1:8080",
                                                    SocketFamily::Natural},
                                           DialCase{"IPv6", "[fd00:96::1]:80", "[fd00:1::1]:8080",
                                                    SocketFamily::Natural},
                                           DialCase{"MappedIPv4", "10.96.0.1:80", "10.1.0.1:8080",
                                                    SocketFamily::MappedIpv6}),
                         [](const auto& info) { return info.param.name; });

TEST_F(SocketHooks, AnAddressThatIsNoFrontendPassesUntouched) {
  const auto server = serve("10.1.0.1:8080");
  start({service("web", "10.96.0.1:80", Protocol::TCP, refused(core::Verdict::Reject))});
  const auto seen = dial_tcp("10.1.0.1:8080");
  EXPECT_EQ(seen.backend, "10.1.0.1:8080");
  EXPECT_EQ(seen.peer, "10.1.0.1:8080");
}

TEST_F(SocketHooks, ProtocolsAreFrontendsOfTheirOwn) {
  const auto tcp = serve("10.1.0.1:53", Protocol::TCP);
  const auto udp = serve("10.1.0.2:53", Protocol::UDP);
  start({service("dns", "10.96.0.10:53", Protocol::TCP, traffic({{"", {"10.1.0.1:53"}}})),
         service("dns", "10.96.0.10:53", Protocol::UDP, traffic({{"", {"10.1.0.2:53"}}}))});
  EXPECT_EQ(dial_tcp("10.96.0.10:53").backend, "10.1.0.1:53");
  EXPECT_EQ(dial_connected_udp("10.96.0.10:53").backend, "10.1.0.2:53");
}

TEST_F(SocketHooks, EveryBackendOfTheTierIsChosen) {
  std::vector<std::string> addresses;
  std::vector<std::unique_ptr<Server>> servers;
  for (int i = 1; i <= 20; ++i) {  // more than one slot line
    addresses.push_back(fmt::format("10.1.0.{}:80", i));
    servers.push_back(serve(addresses.back()));
  }
  start({service("web", "10.96.0.1:80", Protocol::TCP, traffic({{"", addresses}}))});
  std::map<std::string, int> hits;
  for (int i = 0; i < 2000; ++i) ++hits[dial_tcp("10.96.0.1:80").backend];
  EXPECT_EQ(hits.size(), addresses.size());
  // 100 expected each, standard deviation under 10: eight of them.
  for (const auto& [backend, count] : hits) EXPECT_NEAR(count, 100, 80) << backend;
}

TEST_F(SocketHooks, TheKernelWalksTheTiersAsStatesFlip) {
  const std::vector<std::string> backends{"10.1.0.1:80", "10.1.0.2:80", "10.1.0.3:80",
                                          "10.1.0.4:80", "10.1.0.5:80", "10.1.0.6:80"};
  std::vector<std::unique_ptr<Server>> servers;
  for (const auto& backend : backends) servers.push_back(serve(backend));
  // Six tiers, each in a set of the chain; the last is the KEP-1669 fallback.
  start({service("web", "10.96.0.1:80", Protocol::TCP,
                 traffic({{"host", {backends[0]}},
                          {"rack", {backends[1]}},
                          {"empty", {}},
                          {"row", {backends[2]}},
                          {"zone", {backends[3]}},
                          {"region", {backends[4]}}},
                         {{"host", {backends[5]}}}))});
  for (const auto& backend : backends) {
    for (int i = 0; i < 5; ++i) ASSERT_EQ(dial_tcp("10.96.0.1:80").backend, backend);
    set_state(backend, TOPOLB_BACKEND_UNUSABLE);
  }
  EXPECT_EQ(dial_tcp("10.96.0.1:80").error, ECONNREFUSED);
  for (auto backend = backends.rbegin(); backend != backends.rend(); ++backend) {
    set_state(*backend, TOPOLB_BACKEND_USABLE);
    EXPECT_EQ(dial_tcp("10.96.0.1:80").backend, *backend);
  }
}

TEST_F(SocketHooks, TheOnlyUsableBackendOfManyIsFound) {
  std::vector<std::string> addresses;
  for (int i = 1; i <= 200; ++i) addresses.push_back(fmt::format("10.1.0.{}:80", i));
  const auto server = serve("10.1.0.77:80");
  start({service("web", "10.96.0.1:80", Protocol::TCP, traffic({{"", addresses}}))});
  for (const auto& address : addresses) {
    if (address != "10.1.0.77:80") set_state(address, TOPOLB_BACKEND_UNUSABLE);
  }
  for (int i = 0; i < 50; ++i) ASSERT_EQ(dial_tcp("10.96.0.1:80").backend, "10.1.0.77:80");
}

// Of as many as a set has room for, or its lines of slots, and one more.
TEST_F(SocketHooks, TheLastBackendOfATierIsFound) {
  std::vector<std::unique_ptr<Server>> servers;
  for (const std::size_t count : {1, 10, 11, 16, 17, 32, 33}) {
    std::vector<std::string> addresses;
    for (std::size_t i = 1; i <= count; ++i)
      addresses.push_back(fmt::format("10.1.{}.{}:80", count, i));
    servers.push_back(serve(addresses.back()));
    start({service("web", "10.96.0.1:80", Protocol::TCP, traffic({{"", addresses}}))});
    for (const auto& address : addresses) {
      if (address != addresses.back()) set_state(address, TOPOLB_BACKEND_UNUSABLE);
    }
    ASSERT_EQ(dial_tcp("10.96.0.1:80").backend, addresses.back()) << count;
    set_state(addresses.back(), TOPOLB_BACKEND_UNUSABLE);
    ASSERT_EQ(dial_tcp("10.96.0.1:80").error, ECONNREFUSED) << count;
    stop();
  }
}

TEST_F(SocketHooks, CountsConnectionsByTierAndRefusals) {
  const auto near = serve("10.1.0.1:80");
  const auto far = serve("10.1.0.2:80");
  start({service("web", "10.96.0.1:80", Protocol::TCP,
                 traffic({{"zone", {"10.1.0.1:80"}}, {"*", {"10.1.0.2:80"}}}))});
  for (int i = 0; i < 3; ++i) dial_tcp("10.96.0.1:80");
  set_state("10.1.0.1:80", TOPOLB_BACKEND_UNUSABLE);
  for (int i = 0; i < 2; ++i) dial_tcp("10.96.0.1:80");
  set_state("10.1.0.2:80", TOPOLB_BACKEND_UNUSABLE);
  dial_tcp("10.96.0.1:80");
  const auto state = dataplane::read_kernel_state(maps());
  ASSERT_EQ(state.services.size(), 1U);
  const auto& web = state.services.front();
  EXPECT_EQ(maps().counters.read(web.first_counter, web.counter_count),
            (std::vector<std::uint64_t>{1, 0, 3, 2}));
}

TEST_F(SocketHooks, ASocketThatDialsABackendItselfShowsTheBackend) {
  const auto server = serve("10.1.0.1:80", Protocol::UDP);
  start({service("dns", "10.96.0.1:80", Protocol::UDP, traffic({{"", {"10.1.0.1:80"}}}))});
  Connection socket("10.96.0.1:80", Protocol::UDP);
  EXPECT_EQ(socket.peer(), "10.96.0.1:80");
  EXPECT_EQ(socket.connect("10.1.0.1:80"), "10.1.0.1:80");
}

}  // namespace
}  // namespace topolb::test
