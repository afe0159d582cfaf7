// SPDX-License-Identifier: Apache-2.0
// The life of a flow: states, timeouts, ports used again, backends that go, a full table.
// Sources: RFC 9293, 3.6; nf_conntrack_proto_tcp.c (what kube-proxy relies on); KEP-1669.
#include <gtest/gtest.h>

#include <set>

#include "dataplane/kernel_state.h"
#include "support/packet_path.h"
#include "support/sockets.h"

namespace topolb::test {
namespace {

constexpr const char* kClient = "198.51.100.7:40000";
constexpr const char* kFrontend = "192.0.2.10:30080";
constexpr const char* kLoadBalancer = "203.0.113.5:80";
const std::vector<std::string> kBackends{"10.1.0.1:80", "10.1.0.2:80", "10.1.0.3:80",
                                         "10.1.0.4:80"};

/// What acknowledges the FIN of a PacketSpec.
constexpr std::uint32_t kAfterFin = PacketSpec{}.sequence + 1;

/// In a table of either kind (docs/decisions/0049).
class TcFlows : public ::testing::TestWithParam<std::uint32_t> {
 protected:
  void publish(const std::vector<std::string>& backends, std::uint32_t affinity_timeout_s = 0) {
    std::vector<core::ServicePortPlan> plans;
    for (const auto protocol : {Protocol::TCP, Protocol::UDP}) {
      const auto to = traffic({{"", backends}});
      auto plan = service(std::string(to_string(protocol)), "10.96.0.1:80", protocol, to);
      plan.affinity_timeout_s = affinity_timeout_s;
      plan.source_ranges = source_ranges_;
      add_frontend(plan, core::FrontendKind::NodePort, "0.0.0.0:30080", to);
      add_frontend(plan, core::FrontendKind::LoadBalancer, kLoadBalancer, to);
      plans.push_back(plan);
    }
    path_.publish(plans);
  }

  Outcome send(std::uint8_t flags, Protocol protocol = Protocol::TCP,
               const std::string& client = kClient, const std::string& frontend = kFrontend,
               std::uint32_t acknowledged = kAfterFin) {
    PacketSpec spec;
    spec.acknowledged = acknowledged;
    spec.source = client;
    spec.destination = frontend;
    spec.protocol = protocol;
    spec.tcp_flags = flags;
    return path_.run(Hook::Ingress, build(spec));
  }

  Outcome answer(const PacketView& request, std::uint8_t flags, Protocol protocol = Protocol::TCP) {
    PacketSpec spec;
    spec.acknowledged = kAfterFin;
    spec.source = request.destination;
    spec.destination = request.source;
    spec.protocol = protocol;
    spec.tcp_flags = flags;
    return path_.run(Hook::Ingress, build(spec));
  }

  /// A connection that is established; the request as the backend saw it.
  PacketView connect() {
    const auto request = send(kSyn).view();
    answer(request, kSyn | kAck);
    send(kAck);
    return request;
  }

  std::size_t flows() { return path_.flows().count(); }

  PacketPath path_{GetParam()};
  std::vector<IpPrefix> source_ranges_;
};

INSTANTIATE_TEST_SUITE_P(Tables, TcFlows, testing::Values(4096, TOPOLB_MAX_FLOWS));

TEST_P(TcFlows, RetransmittedSynGoesToTheSameBackend) {
  publish(kBackends);
  const auto first = send(kSyn).view();
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(send(kSyn).view().destination, first.destination);
    EXPECT_EQ(send(kSyn).view().source, first.source);
  }
}

TEST_P(TcFlows, ClosedByBothIsGone) {
  publish(kBackends);
  const auto request = connect();
  EXPECT_EQ(flows(), 1U);
  send(kFin | kAck);
  answer(request, kAck);
  EXPECT_EQ(answer(request, kFin | kAck).view().destination, kClient);
  EXPECT_EQ(send(kAck).view().destination, request.destination);  // translated, then forgotten
  EXPECT_EQ(flows(), 0U);
  EXPECT_EQ(path_.event(TOPOLB_EVENT_FLOW_CLOSED), 1U);
}

// As long as an answer is on its way: the FIN at its end overtakes the acknowledgements of the
// rest.
TEST_P(TcFlows, ClosedLivesOnUntilBothFinsAreAcknowledged) {
  publish(kBackends);
  const auto request = connect();
  send(kFin | kAck);
  answer(request, kFin | kAck);
  for (const std::uint32_t acknowledged : {500, 900, 1000}) {
    EXPECT_EQ(send(kAck, Protocol::TCP, kClient, kFrontend, acknowledged).view().destination,
              request.destination);
    EXPECT_EQ(answer(request, kFin | kAck).view().destination, kClient) << "sent again";
  }
  EXPECT_EQ(flows(), 1U);
  EXPECT_EQ(send(kAck).view().destination, request.destination);
  EXPECT_EQ(flows(), 0U);
}

TEST_P(TcFlows, HalfClosedLivesOn) {
  publish(kBackends);
  const auto request = connect();
  send(kFin | kAck);
  path_.age_flows(3000);
  EXPECT_EQ(answer(request, kAck).view().destination, kClient);
  EXPECT_EQ(send(kAck).view().destination, request.destination);
}

TEST_P(TcFlows, ResetIsForgottenWhenTheSenderGoesOn) {
  publish(kBackends);
  const auto request = connect();
  send(kRst);
  EXPECT_EQ(answer(request, kAck).view().destination, kClient);  // the backend did not believe it
  path_.age_flows(3600);
  EXPECT_EQ(send(kAck).view().destination, request.destination);
}

TEST_P(TcFlows, PortUsedAgainIsANewFlow) {
  publish(kBackends);
  std::set<std::string> seen;
  for (int i = 0; i < 50; ++i) {
    seen.insert(connect().destination);
    send(kRst);
  }
  EXPECT_EQ(seen.size(), kBackends.size());
  EXPECT_EQ(flows(), 1U);
}

TEST_P(TcFlows, SegmentOfNoFlowIsReset) {
  publish(kBackends);
  const auto got = send(kAck, Protocol::TCP, kClient, kLoadBalancer);
  ASSERT_EQ(got.action, kRedirect);
  EXPECT_EQ(got.view().tcp_flags, kRst);
  EXPECT_EQ(send(kRst).action, kDrop);
  EXPECT_EQ(path_.event(TOPOLB_EVENT_UNKNOWN_FLOW), 2U);
  EXPECT_EQ(flows(), 0U);
}

TEST_P(TcFlows, Timeouts) {
  publish(kBackends);
  const struct {
    const char* what;
    Protocol protocol;
    bool replied;
    bool acknowledged;
    std::uint64_t timeout_s;
  } cases[] = {{"TCP opening", Protocol::TCP, false, false, TOPOLB_FLOW_TCP_OPENING_S},
               {"TCP not replied to", Protocol::TCP, false, true, TOPOLB_FLOW_TCP_OPENING_S},
               {"TCP half open", Protocol::TCP, true, false, TOPOLB_FLOW_TCP_OPENING_S},
               {"TCP established", Protocol::TCP, true, true, TOPOLB_FLOW_TCP_ESTABLISHED_S},
               {"UDP", Protocol::UDP, false, false, TOPOLB_FLOW_UDP_UNREPLIED_S},
               {"UDP replied", Protocol::UDP, true, false, TOPOLB_FLOW_UDP_REPLIED_S}};
  int port = 1;
  for (const auto& tested : cases) {
    const auto client = "198.51.100.8:" + std::to_string(port++);
    const auto request = send(kSyn, tested.protocol, client).view();
    if (tested.replied) answer(request, kSyn | kAck, tested.protocol);
    if (tested.acknowledged) send(kAck, tested.protocol, client);
    path_.age_flows(tested.timeout_s - 5);
    EXPECT_EQ(send(kSyn, tested.protocol, client).view().source, request.source) << tested.what;
    const auto opened = path_.event(TOPOLB_EVENT_FLOW_OPENED);
    path_.age_flows(tested.timeout_s + 5);
    send(kSyn, tested.protocol, client);
    EXPECT_EQ(path_.event(TOPOLB_EVENT_FLOW_OPENED), opened + 1) << tested.what;
  }
}

// The collector takes a row that it meets twice at one generation for a dead owner's.
TEST_P(TcFlows, RowOfAFlowWithoutAPortChangesHands) {
  publish({"10.1.0.5:8080"});
  path_.settings().masquerade_port_min = path_.settings().masquerade_port_max = 20000;
  ASSERT_EQ(send(kSyn, Protocol::TCP, "198.51.100.8:1").action, kRedirect);
  const auto generations = [&] {
    std::uint32_t sum = 0;
    for (std::uint32_t id = 0; id < path_.flows().capacity(); ++id) {
      sum += path_.flows().row(id).generation;
    }
    return sum;
  };
  for (int attempt = 0; attempt < 3; ++attempt) {
    const auto before = generations();
    EXPECT_EQ(send(kSyn, Protocol::TCP, "198.51.100.8:2").action, kDrop);
    EXPECT_GT(generations(), before + 1) << attempt;
    EXPECT_EQ(flows(), 1U);
  }
}

TEST_P(TcFlows, TcpToABackendThatIsGoneIsReset) {
  publish({kBackends[0]});
  connect();
  publish({kBackends[1]});
  path_.forget_retired();
  const auto got = send(kAck);
  ASSERT_EQ(got.action, kRedirect);
  EXPECT_EQ(got.view().tcp_flags & kRst, kRst);
  EXPECT_TRUE(got.view().is_sent_back);
  EXPECT_EQ(send(kSyn).view().destination, kBackends[1]);
  EXPECT_EQ(path_.event(TOPOLB_EVENT_BACKEND_GONE), 1U);
}

TEST_P(TcFlows, TcpToABackendThatIsGoneMayBeKept) {
  path_.settings().packet_flags = TOPOLB_PACKETS_KEEP_TCP_OF_GONE_BACKENDS;
  publish({kBackends[0]});
  connect();
  publish({kBackends[1]});
  path_.forget_retired();
  EXPECT_EQ(send(kAck).view().destination, kBackends[0]);
}

// In a table that is being replaced: the flow may be in the other one.
TEST_P(TcFlows, WhatHasNoFlowYetIsHeldWhileTheTableIsReplaced) {
  publish({kBackends[0]});
  struct Packet {
    const char* what;
    const char* destination;
    int held;
    int otherwise;
  };
  // PacketPath masquerades with ports from 10000 to 29999.
  for (const auto& [what, destination, held, otherwise] :
       {Packet{"maybe a reply: the node would reset it", "192.0.2.10:20000", kDrop, kPass},
        Packet{"the same, with a port like a frontend's", "192.0.2.10:29999", kDrop, kPass},
        Packet{"of a client", kFrontend, kDrop, kRedirect},
        Packet{"of the node's own", "192.0.2.10:9999", kPass, kPass},
        Packet{"routed to others", "198.51.100.9:20000", kPass, kPass}}) {
    path_.settings().packet_flags = TOPOLB_PACKETS_HOLD_UNKNOWN_FLOWS;
    const auto send_it = [&, to = destination] {
      return send(kSyn | kAck, Protocol::TCP, kBackends[0], to).action;
    };
    EXPECT_EQ(send_it(), held) << what;
    path_.settings().packet_flags = 0;
    EXPECT_EQ(send_it(), otherwise) << what;
  }
  EXPECT_EQ(flows(), 0U);
}

// As with conntrack: the rule is for new connections.
TEST_P(TcFlows, ConnectionsGoOnWithoutTheirFrontend) {
  publish({kBackends[0]});
  send(kSyn, Protocol::TCP, kClient, kLoadBalancer);
  connect();
  auto without = traffic({{"", {kBackends[0]}}});
  path_.publish({service("TCP", "10.96.0.1:80", Protocol::TCP, without)});
  path_.forget_retired();
  for (const auto* gone : {kLoadBalancer, kFrontend}) {
    EXPECT_EQ(send(kAck, Protocol::TCP, kClient, gone).view().destination, kBackends[0]) << gone;
    EXPECT_EQ(send(kSyn, Protocol::TCP, "198.51.100.9:1", gone).action, kPass) << gone;
  }
}

TEST_P(TcFlows, UdpMovesAtOnceFromABackendThatIsGone) {
  publish({kBackends[0]});
  EXPECT_EQ(send(0, Protocol::UDP).view().destination, kBackends[0]);
  publish({kBackends[1]});
  EXPECT_EQ(send(0, Protocol::UDP).view().destination, kBackends[1]);
  EXPECT_EQ(flows(), 1U);
}

TEST_P(TcFlows, BackendThatComesBackAtOnceKeepsItsConnections) {
  publish({kBackends[0]});
  const auto request = connect();
  send(0, Protocol::UDP);
  publish({kBackends[1]});
  EXPECT_EQ(send(kAck).view().destination, kBackends[0]);
  EXPECT_EQ(send(0, Protocol::UDP).view().destination, kBackends[1])
      << "a datagram may go elsewhere";
  publish({kBackends[0], kBackends[1]});
  path_.forget_retired();
  EXPECT_EQ(send(kAck).view().source, request.source);
}

TEST_P(TcFlows, UnusableBackendKeepsItsFlowsAndGetsNoNew) {
  publish({kBackends[0], kBackends[1]});
  const auto old = connect().destination;
  for (std::uint32_t id = 1; id < path_.maps().backends.capacity(); ++id) {
    auto& row = path_.maps().backends[id];
    if (row.state == TOPOLB_BACKEND_FREE) continue;
    if (dataplane::from_wire(row).to_string() == old) row.state = TOPOLB_BACKEND_UNUSABLE;
  }
  EXPECT_EQ(send(kAck).view().destination, old);
  for (int port = 1; port < 20; ++port) {
    EXPECT_NE(send(kSyn, Protocol::TCP, "198.51.100.9:" + std::to_string(port)).view().destination,
              old);
  }
}

// kube-proxy's conntrack keeps what masquerade chose, too.
TEST_P(TcFlows, FlowsKeepTheNodesAddressThatTheyBeganWith) {
  publish(kBackends);
  const auto of_node = [](const PacketView& view) { return view.source.substr(0, 10); };
  const auto request = connect();
  const auto datagram = send(0, Protocol::UDP).view();
  path_.masquerade_with("192.0.2.99", "2001:db8::99");
  for (const auto& [before, protocol] :
       {std::pair{request, Protocol::TCP}, std::pair{datagram, Protocol::UDP}}) {
    EXPECT_EQ(of_node(before), "192.0.2.10");
    EXPECT_EQ(send(kAck, protocol).view().source, before.source);
    const auto reply = answer(before, kAck, protocol);
    ASSERT_EQ(reply.action, kRedirect);
    EXPECT_EQ(reply.view().destination, kClient);
    const auto next = send(kSyn, protocol, "198.51.100.8:1").view();
    EXPECT_EQ(of_node(next), "192.0.2.99");
    EXPECT_EQ(answer(next, kSyn | kAck, protocol).view().destination, "198.51.100.8:1");
  }
  path_.masquerade_with("192.0.2.10", "2001:db8::10");
  EXPECT_EQ(answer(request, kAck).view().destination, kClient);
  path_.flows().for_each(
      [&](std::uint32_t id, const topolb_flow& flow) { path_.flows().remove(id, flow); });
  EXPECT_EQ(path_.flows().slot_count(), 0U);
}

// A tick is a number that the kernel counts up: only part of it came back after 262 s.
TEST_P(TcFlows, APacketOnceInSixteenBitsOfTicksKeepsAFlowAlive) {
  publish(kBackends);
  const auto request = connect();
  path_.flows().for_each([&](std::uint32_t id, const topolb_flow&) {
    auto& flow = path_.flows().row(id);
    flow.touched -= topolb_flow_time(262'000'000'000);
    flow.touched_tick -= 0x10000;
  });
  answer(request, kAck);
  path_.flows().for_each(
      [&](std::uint32_t, const topolb_flow& flow) { EXPECT_GE(flow.touched, flow.created); });
}

TEST_P(TcFlows, AffinityOfTheClientsAddress) {
  publish(kBackends, 10800);
  const auto first = send(kSyn).view().destination;
  for (int port = 1; port < 20; ++port) {
    EXPECT_EQ(send(kSyn, Protocol::TCP, "198.51.100.7:" + std::to_string(port)).view().destination,
              first);
  }
}

TEST_P(TcFlows, SourceRanges) {
  source_ranges_ = {*IpPrefix::parse("198.51.100.0/24")};
  publish(kBackends);
  EXPECT_EQ(send(kSyn, Protocol::TCP, kClient, kLoadBalancer).action, kRedirect);
  EXPECT_EQ(send(kSyn, Protocol::TCP, "198.51.101.7:1", kLoadBalancer).action, kDrop);
  EXPECT_EQ(send(kSyn, Protocol::TCP, "198.51.101.7:1", kFrontend).action, kRedirect);
}

TEST_P(TcFlows, FloodLeavesABusyFlowAlone) {
  publish(kBackends);
  const auto request = connect();
  const int enough = static_cast<int>(path_.flows().capacity()) + 5000;
  for (int flood = 0; flood < enough; ++flood) {
    send(
        kSyn, Protocol::TCP,
        "203.0.113." + std::to_string(1 + flood / 60000) + ":" + std::to_string(1 + flood % 60000));
    if (flood % 100 == 0) {
      ASSERT_EQ(send(kAck).view().source, request.source) << flood;
      ASSERT_EQ(answer(request, kAck).view().destination, kClient) << flood;
    }
  }
  EXPECT_GT(path_.event(TOPOLB_EVENT_FLOW_EVICTED), 0U) << "the table was full";
}

TEST_P(TcFlows, ManyFlowsOpenedAndClosedLeaveNothing) {
  publish(kBackends);
  const auto idle = connect();
  for (int round = 0; round < 20000; ++round) {
    const auto client = "198.51.100.20:" + std::to_string(1 + round);
    const auto request = send(kSyn, Protocol::TCP, client).view();
    ASSERT_EQ(answer(request, kSyn | kAck).view().destination, client);
    send(kFin | kAck, Protocol::TCP, client);
    answer(request, kFin | kAck);
    ASSERT_EQ(send(kAck, Protocol::TCP, client).view().source, request.source);
  }
  EXPECT_EQ(flows(), 1U);
  EXPECT_EQ(send(kAck).view().source, idle.source);
}

}  // namespace
}  // namespace topolb::test
