// SPDX-License-Identifier: Apache-2.0
// Direct server return: wrapped packets that no node has sent so, or whose client another node has
// served before. Sources: issue of the per-packet path; docs/decisions/0041; RFC 1071, 1122, 2003.
#include "bpf/tc_dsr_fixture.h"

namespace topolb::test {
namespace {

class TcDsrStrangers : public TcDsr {
 protected:
  /// A flow of the client to a backend elsewhere, opened here.
  void open_direct(const std::string& frontend) {
    publish({at().remote});
    EXPECT_EQ(path_.run(Hook::Ingress, packet(client(), frontend)).action, kRedirect);
    publish({at().remote, at().local});
  }
  /// A word of the outer IP header.
  static Bytes with_word(Bytes frame, std::size_t offset, std::size_t word, bool fix_checksum) {
    constexpr std::size_t kIp = 14;
    frame.at(kIp + offset) = static_cast<std::uint8_t>(word >> 8);
    frame.at(kIp + offset + 1) = static_cast<std::uint8_t>(word);
    if (fix_checksum && frame[kIp] >> 4 == 4) {
      frame[kIp + 10] = frame[kIp + 11] = 0;
      const auto sum = internet_checksum(&frame[kIp], 20);
      frame[kIp + 10] = static_cast<std::uint8_t>(sum >> 8);
      frame[kIp + 11] = static_cast<std::uint8_t>(sum);
    }
    return frame;
  }
  [[nodiscard]] bool is_ipv4() const { return at().overhead == 20; }
};

INSTANTIATE_TEST_SUITE_P(Families, TcDsrStrangers, kDsrCases, name_of_case);

// Two pods' addresses would make their nodes send it to each other for ever.
TEST_P(TcDsrStrangers, NobodyHandsBackWhatWasHandedBack) {
  publish({at().remote, at().local});
  const auto to_nobody = [&](std::uint8_t ttl) {
    return wrap(packet(client(), at().balancer), at().remote_pod,
                is_ipv4() ? "10.2.0.9" : "fd00:2::9", ttl);
  };
  const auto once = path_.run(Hook::Ingress, to_nobody(255));
  ASSERT_EQ(once.action, kRedirect);
  EXPECT_LE(once.frame.at(is_ipv4() ? 22 : 21), kHandedBack);
  expect_left_alone(to_nobody(kHandedBack), "as it comes if nobody routes it");
  expect_left_alone(to_nobody(1), "by many routers");
  expect_left_alone(wrapped(packet(client(), at().balancer), kHandedBack), "handed back to a pod");
}

TEST_P(TcDsrStrangers, NothingIsHandedBackToNobody) {
  publish({at().remote, at().local});
  const auto to_nobody = [&](const std::string& source) {
    return wrap(packet(client(), at().balancer), source, at().remote_pod);
  };
  for (const auto& source :
       is_ipv4() ? std::vector<std::string>{"224.0.0.1", "127.0.0.1", "255.255.255.255"}
                 : std::vector<std::string>{"ff02::1", "::1", "::"}) {
    expect_left_alone(to_nobody(source), source.c_str());
  }
  auto to_all = to_nobody(at().other_node);
  std::fill_n(to_all.begin(), 6, std::uint8_t{0xff});
  expect_left_alone(to_all, "to all of the link");
  auto local_to_all = wrapped(packet(client(), at().balancer));
  std::fill_n(local_to_all.begin(), 6, std::uint8_t{0xff});
  expect_left_alone(local_to_all, "to a backend, and all of the link");
}

TEST_P(TcDsrStrangers, WrappersThatAreNotWhole) {
  publish({at().local});
  const auto whole = wrapped(packet(client(), at().balancer));
  const std::size_t length_at = is_ipv4() ? 2 : 4;
  const std::size_t length = whole.size() - 14 - (is_ipv4() ? 0 : 40);
  expect_left_alone(with_word(whole, length_at, length + 1, true), "longer than there is");
  expect_left_alone(with_word(whole, length_at, length - 1, true), "shorter than what is in it");
  if (is_ipv4()) expect_left_alone(with_word(whole, 4, 0x1234, false), "a wrong checksum");
  auto padded = whole;
  padded.resize(padded.size() + 7);
  EXPECT_EQ(path_.run(Hook::Ingress, padded).frame.size(), padded.size() - at().overhead)
      << "padding of the link";
}

TEST_P(TcDsrStrangers, ABackendWithTheNodesOwnAddress) {
  const auto own = socket_of(at().node, 8080);
  auto plan = service("web", at().cluster_ip, GetParam().protocol, traffic({{"", {own}}}));
  add_frontend(plan, core::FrontendKind::NodePort, at().any, traffic({{"", {own}}}));
  path_.publish({plan}, {own});
  for (const auto flags : {kSyn, kAck}) {
    const auto got = path_.run(Hook::Ingress, wrap(packet(client(), at().other_node_port, flags),
                                                   at().other_node, at().node));
    EXPECT_EQ(got.action, kPass);
    ASSERT_EQ(got.frame.size(), packet(client(), at().other_node_port, flags).size());
    EXPECT_EQ(got.view().destination, own);
    EXPECT_EQ(got.view().source, client());
  }
}

// A virtual address that all nodes have: what is handed back, or an ICMP error, must come here.
TEST_P(TcDsrStrangers, ALoadBalancersAddressThatEveryNodeHas) {
  publish({at().remote});
  const auto balancer = at().balancer.substr(0, at().balancer.rfind(':'));
  const auto host = is_ipv4() ? balancer : balancer.substr(1, balancer.size() - 2);
  ASSERT_TRUE(path_.maps().node_addresses.put(dataplane::to_wire(*IpAddress::parse(host)),
                                              {.interface_index = 1, .flags = 0}));
  const auto got = path_.run(Hook::Ingress, packet(client(), at().balancer));
  EXPECT_EQ(got.frame, wrap(packet(client(), at().balancer, kSyn, 63), at().node, at().remote_pod));
}

TEST_P(TcDsrStrangers, AFlowToAnotherNodeGivesWayToOneHere) {
  open_direct(at().balancer);
  const auto got = path_.run(Hook::Ingress, wrapped(packet(client(), at().balancer)));
  EXPECT_EQ(got.action, kPass);
  EXPECT_EQ(got.view().destination, at().local);
  EXPECT_EQ(path_.flows().count(), 1U);
}

TEST_P(TcDsrStrangers, AConnectionToAnotherNodeStays) {
  if (!is_tcp()) return;
  open_direct(at().balancer);
  EXPECT_EQ(path_.run(Hook::Ingress, packet(client(), at().balancer, kAck)).action, kRedirect);
  for (const auto flags : {kSyn, kAck}) {
    EXPECT_EQ(path_.run(Hook::Ingress, wrapped(packet(client(), at().balancer, flags))).action,
              kDrop)
        << "else it might go round";
  }
  EXPECT_EQ(path_.run(Hook::Ingress, packet(client(), at().balancer, kAck)).action, kRedirect);
  path_.age_flows(TOPOLB_FLOW_EVICTABLE_S + 1);
  const auto got = path_.run(Hook::Ingress, wrapped(packet(client(), at().balancer)));
  EXPECT_EQ(got.view().destination, at().local) << "nobody has heard of it for long";
}

TEST_P(TcDsrStrangers, AConnectionThatItsClientHasEndedGivesWay) {
  if (!is_tcp()) return;
  open_direct(at().balancer);
  for (const std::uint8_t flags : {std::uint8_t{kAck}, std::uint8_t(kFin | kAck)}) {
    EXPECT_EQ(path_.run(Hook::Ingress, packet(client(), at().balancer, flags)).action, kRedirect);
  }
  EXPECT_EQ(path_.run(Hook::Ingress, wrapped(packet(client(), at().balancer))).view().destination,
            at().local);
}

// Another node has forgotten the flow, say, and chosen anew.
TEST_P(TcDsrStrangers, AFlowToAnotherBackendHereGoesOn) {
  const auto other = socket_of(is_ipv4() ? "10.2.0.3" : "fd00:2::3", 8080);
  publish({at().local});
  EXPECT_EQ(path_.run(Hook::Ingress, wrapped(packet(client(), at().balancer))).view().destination,
            at().local);
  auto plan =
      service("web", at().cluster_ip, GetParam().protocol, traffic({{"", {at().local, other}}}));
  add_frontend(plan, core::FrontendKind::LoadBalancer, at().balancer,
               traffic({{"", {at().local, other}}}));
  path_.publish({plan}, {at().local, other});
  const auto to_other = [&](std::uint8_t flags) {
    return path_.run(Hook::Ingress,
                     wrap(packet(client(), at().balancer, flags), at().other_node,
                          other.substr(is_ipv4() ? 0 : 1, other.rfind(':') - (is_ipv4() ? 0 : 2))));
  };
  for (const auto flags : {kSyn, kAck}) EXPECT_EQ(to_other(flags).view().destination, at().local);
  if (is_tcp()) {
    EXPECT_EQ(to_other(kRst).action, kPass);
  } else {
    path_.age_flows(1000);
  }
  EXPECT_EQ(to_other(kSyn).view().destination, other) << "that one is over";
}

}  // namespace
}  // namespace topolb::test
