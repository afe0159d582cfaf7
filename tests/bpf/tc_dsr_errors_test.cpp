// SPDX-License-Identifier: Apache-2.0
// Direct server return: ICMP errors about wrapped packets, which come to the node that has wrapped
// them. Sources: issue of the per-packet path; docs/decisions/0041; RFC 792, 2003, 2473, 4443.
#include "bpf/tc_dsr_fixture.h"

namespace topolb::test {
namespace {

constexpr std::size_t kAll = 1000;

class TcDsrErrors : public TcDsr {
 protected:
  TcDsrErrors() { publish({at().remote}); }

  [[nodiscard]] bool is_ipv4() const { return at().overhead == 20; }
  /// What this node sends on for a packet of the client.
  Outcome send(std::uint8_t flags, int port = 40000) {
    return path_.run(Hook::Ingress, packet(client(port), at().node_port, flags));
  }
  [[nodiscard]] IcmpErrorSpec about(const Bytes& frame, std::uint8_t type,
                                    std::uint8_t code) const {
    return {.source = is_ipv4() ? "192.0.2.1" : "2001:db8::1",
            .destination = at().node,
            .type = type,
            .code = code,
            .frame = frame};
  }
  [[nodiscard]] IcmpErrorSpec too_big(const Bytes& frame, std::uint32_t mtu) const {
    auto error = is_ipv4() ? about(frame, 3, 4) : about(frame, 2, 0);
    error.mtu = mtu;
    return error;
  }
  /// From a pod whose node knows no wrapped packets.
  [[nodiscard]] IcmpErrorSpec refused(const Bytes& frame) const {
    auto error = is_ipv4() ? about(frame, 3, 2) : about(frame, 4, 1);
    error.source = at().remote_pod;
    return error;
  }
  Outcome receive(const IcmpErrorSpec& error) {
    return path_.run(Hook::Ingress, build_icmp_error(error));
  }
};

INSTANTIATE_TEST_SUITE_P(Families, TcDsrErrors, kDsrCases, name_of_case);

TEST_P(TcDsrErrors, TooBigBetweenTheNodesIsToldToTheClient) {
  const auto sent = send(kSyn).frame;
  const std::size_t ports = is_ipv4() ? 48 : 88;
  for (const std::size_t quoted : {kAll, ports, ports + 1, ports + 13}) {
    auto error = too_big(sent, 1400);
    error.embedded = quoted;
    const auto got = receive(error);
    ASSERT_EQ(got.action, kRedirect) << quoted;
    auto expected = too_big(packet(client(), at().node_port, kSyn, 63), 1400 - at().overhead);
    expected.source = at().node;
    expected.destination = at().client;
    expected.embedded = quoted - (quoted == kAll ? 0 : at().overhead);
    auto frame = build_icmp_error(expected);
    if (is_ipv4()) {  // not to be fragmented, which the checksum is about
      frame.at(14 + 6) = 0x40;
      std::copy_n(got.frame.begin() + 14 + 10, 2, frame.begin() + 14 + 10);
    }
    EXPECT_EQ(got.frame, frame) << quoted;
    EXPECT_TRUE(got.view().checksums_right);
  }
}

TEST_P(TcDsrErrors, AWrongChecksumStaysWrong) {
  auto error = build_icmp_error(too_big(send(kSyn).frame, 1400));
  error.back() ^= 1;
  const auto got = path_.run(Hook::Ingress, error);
  EXPECT_EQ(got.action, kRedirect);
  EXPECT_FALSE(got.view().checksums_right);
}

TEST_P(TcDsrErrors, UnreachableIsToldToTheClient) {
  const auto got = receive(about(send(kSyn).frame, is_ipv4() ? 3 : 1, is_ipv4() ? 1 : 0)).view();
  EXPECT_EQ(got.destination, at().client);
  EXPECT_EQ(got.icmp_type, is_ipv4() ? 3 : 1);
  EXPECT_EQ(got.icmp_code, is_ipv4() ? 1 : 0);
  EXPECT_EQ(got.embedded_source, client());
  EXPECT_EQ(got.embedded_destination, at().node_port);
  EXPECT_TRUE(got.checksums_right);
}

TEST_P(TcDsrErrors, WhatIsAboutNothingOfOursIsLeftAlone) {
  const auto sent = send(kSyn).frame;
  const auto inner = unwrap(sent);
  const auto expect_left = [&](const IcmpErrorSpec& error, const char* why) {
    expect_left_alone(build_icmp_error(error), why);
  };
  auto cut_off = too_big(sent, 1400);
  cut_off.embedded = (is_ipv4() ? 48 : 88) - 1;
  expect_left(cut_off, "no whole ports");
  expect_left(too_big(sent, is_ipv4() ? 87 : 107), "no room for a packet");
  expect_left(about(sent, is_ipv4() ? 11 : 3, 0), "a wrapper that goes in circles");
  expect_left(too_big(wrap(inner, at().node, at().local_pod), 1400), "to another pod");
  expect_left(too_big(wrap(inner, at().other_node, at().remote_pod), 1400), "from another node");
  expect_left(too_big(wrap(packet(client(1), at().node_port), at().node, at().remote_pod), 1400),
              "of no flow");
  auto to_other = too_big(sent, 1400);
  to_other.destination = at().other_node;
  expect_left(to_other, "to another node");
}

TEST_P(TcDsrErrors, AFlowThatItsBackendRefusesIsMasqueraded) {
  EXPECT_EQ(receive(refused(send(kSyn).frame)).action, kDrop);
  const auto again = send(kSyn).view();
  EXPECT_EQ(again.destination, at().remote);
  EXPECT_NE(again.source, client());
  EXPECT_EQ(path_.event(TOPOLB_EVENT_DIRECT_REFUSED), 1U);
  const auto back = path_.run(Hook::Ingress, packet(at().remote, again.source, kSyn | kAck)).view();
  EXPECT_EQ(back.source, at().node_port);
  EXPECT_EQ(back.destination, client());
  EXPECT_EQ(path_.flows().count(), 1U);
}

// Its backend would not know the client by another address.
TEST_P(TcDsrErrors, AConnectionThatIsEstablishedIsNotMasqueraded) {
  if (!is_tcp()) return;
  (void)send(kSyn);
  const auto sent = send(kAck).frame;
  expect_left_alone(build_icmp_error(refused(sent)), "for who counts them");
  EXPECT_EQ(send(kAck).frame, sent);
  EXPECT_EQ(path_.event(TOPOLB_EVENT_DIRECT_REFUSED), 1U);
}

}  // namespace
}  // namespace topolb::test
