// SPDX-License-Identifier: Apache-2.0
// Packets of every shape: VLAN tags, options, extension headers, fragments, TTL, MTU, errors; and
// malformed ones, which are passed on or dropped, never translated half.
// Sources: RFC 791, 8200, 792, 4443, 9293; issue of the per-packet path.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "support/packet_path.h"

namespace topolb::test {
namespace {

constexpr const char* kClient = "198.51.100.7:40000";
constexpr const char* kNodePort = "192.0.2.10:30080";
constexpr const char* kRemote = "10.1.0.5:8080";
constexpr const char* kLocal = "10.2.0.2:8080";
constexpr const char* kNear = "203.0.113.5:80";  // served by kLocal
constexpr const char* kClient6 = "[2001:db8:5::7]:40000";
constexpr const char* kNodePort6 = "[2001:db8::10]:30080";
constexpr const char* kRemote6 = "[fd00:1::5]:8080";
constexpr const char* kRefused = "203.0.113.6:80";
constexpr const char* kRefused6 = "[2001:db8:1::6]:80";
constexpr const char* kDropped = "203.0.113.7:80";

PacketSpec packet(const std::string& source, const std::string& destination,
                  Protocol protocol = Protocol::UDP, std::uint8_t flags = kSyn) {
  PacketSpec spec;
  spec.source = source;
  spec.destination = destination;
  spec.protocol = protocol;
  spec.tcp_flags = flags;
  spec.payload = "hello";
  return spec;
}

class TcPackets : public ::testing::Test {
 protected:
  TcPackets() {
    std::vector<core::ServicePortPlan> plans;
    int number = 1;
    const auto add = [&](core::FrontendKind kind, const std::string& frontend,
                         const core::TrafficPlan& traffic) {
      const bool ipv6 = frontend.front() == '[';
      for (const auto protocol : {Protocol::TCP, Protocol::UDP}) {
        const auto id = std::to_string(number++);
        auto plan = service("s" + id, (ipv6 ? "[fd00:96::" + id + "]:80" : "10.96.0." + id + ":80"),
                            protocol, traffic);
        add_frontend(plan, kind, frontend, traffic);
        plans.push_back(plan);
      }
    };
    const auto to = [](const char* backend) { return traffic({{"", {backend}}}); };
    add(core::FrontendKind::NodePort, "0.0.0.0:30080", to(kRemote));
    add(core::FrontendKind::NodePort, "[::]:30080", to(kRemote6));
    add(core::FrontendKind::LoadBalancer, kNear, to(kLocal));
    add(core::FrontendKind::LoadBalancer, kRefused, refused(core::Verdict::Reject));
    add(core::FrontendKind::LoadBalancer, kRefused6, refused(core::Verdict::Reject));
    add(core::FrontendKind::LoadBalancer, kDropped, refused(core::Verdict::Drop));
    path_.publish(plans, {kLocal});
  }

  Outcome ingress(const PacketSpec& spec) { return path_.run(Hook::Ingress, build(spec)); }

  PacketPath path_;
};

TEST_F(TcPackets, VlanTagsOptionsExtensions) {
  auto tagged = packet(kClient, kNodePort);
  tagged.vlan_tags = {7};
  EXPECT_EQ(ingress(tagged).view().destination, kRemote);
  tagged.vlan_tags = {7, 8};
  const auto twice = ingress(tagged);
  EXPECT_EQ(twice.action, kRedirect);
  EXPECT_EQ(twice.frame.at(12), 0x08);  // the tags belong to the link it came by
  auto near = packet(kClient, kNear);
  near.vlan_tags = {7, 8};
  EXPECT_TRUE(ingress(near).view().checksums_right);

  auto with_options = packet(kClient, kNodePort, Protocol::TCP);
  with_options.ip_options = {1, 1, 1, 1, 1, 1, 1, 0};
  EXPECT_EQ(ingress(with_options).view().destination, kRemote);
  EXPECT_TRUE(ingress(with_options).view().checksums_right);

  auto extended = packet(kClient6, kNodePort6, Protocol::TCP);
  extended.first_extension = 60;  // destination options, then hop-by-hop length 16
  extended.extensions = {60, 0, 1, 4, 0, 0, 0, 0, 6, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  const auto got = ingress(extended);
  EXPECT_EQ(got.view().destination, kRemote6);
  EXPECT_EQ(got.view().ttl, 63);
  EXPECT_TRUE(got.view().checksums_right);
}

TEST_F(TcPackets, UdpWithoutChecksumStaysSo) {
  auto spec = packet(kClient, kNodePort);
  spec.has_checksum = false;
  const auto got = ingress(spec).view();
  EXPECT_EQ(got.destination, kRemote);
  EXPECT_FALSE(got.has_udp_checksum);
}

TEST_F(TcPackets, BadChecksumIsLeftToTheReceiver) {
  auto frame = build(packet(kClient, kNodePort, Protocol::TCP));
  frame[50] = static_cast<std::uint8_t>(frame[50] ^ 0x55);
  EXPECT_FALSE(path_.run(Hook::Ingress, frame).view().checksums_right);
}

TEST_F(TcPackets, FragmentsFollowTheFirst) {
  for (const auto& [client, frontend, backend] :
       {std::tuple{kClient, kNodePort, kRemote}, std::tuple{kClient6, kNodePort6, kRemote6}}) {
    auto spec = packet(client, frontend);
    spec.payload = std::string(3000, 'x');
    std::vector<Bytes> translated;
    for (const auto& fragment : fragments_of(build(spec), 1200, 77)) {
      const auto got = path_.run(Hook::Ingress, fragment);
      ASSERT_EQ(got.action, kRedirect);
      translated.push_back(got.frame);
    }
    const auto whole = look_at(reassemble(translated));
    EXPECT_EQ(whole.destination, backend);
    EXPECT_EQ(whole.payload, spec.payload);
    EXPECT_TRUE(whole.checksums_right);
    const auto orphan = fragments_of(build(spec), 1200, 78).back();
    EXPECT_EQ(path_.run(Hook::Ingress, orphan).frame, orphan);
  }
}

TEST_F(TcPackets, RouterAnswersForTtlAndMtu) {
  auto expired = packet(kClient, kNodePort);
  expired.ttl = 1;
  const auto got = ingress(expired);
  ASSERT_EQ(got.action, kRedirect);
  EXPECT_TRUE(got.view().is_sent_back);
  EXPECT_EQ(got.view().source, "192.0.2.10");
  EXPECT_EQ(got.view().icmp_type, 11);
  EXPECT_EQ(got.view().embedded_destination, kNodePort);
  EXPECT_TRUE(got.view().checksums_right);

  auto big = packet(kClient, kNodePort);
  big.payload = std::string(1400, 'x');  // the way to the pods takes 1400 with headers
  const auto needed = ingress(big).view();
  EXPECT_EQ(needed.icmp_type, 3);
  EXPECT_EQ(needed.icmp_code, 4);
  EXPECT_EQ(needed.mtu, 1400U);
  auto big6 = packet(kClient6, kNodePort6);
  big6.payload = big.payload;
  const auto too_big = ingress(big6).view();
  EXPECT_EQ(too_big.icmp_type, 2);
  EXPECT_EQ(too_big.mtu, 1400U);
  EXPECT_TRUE(too_big.checksums_right);

  auto segments = packet(kClient, kNodePort, Protocol::TCP);
  segments.payload = std::string(2600, 'x');
  EXPECT_EQ(path_.run(Hook::Ingress, build(segments), 1300).view().destination, kRemote);
}

// BIG TCP: more than 64 KiB to be cut into segments, whose length the IP header can't say.
TEST_F(TcPackets, SegmentsWithoutALength) {
  for (const auto& [client, frontend, length_at] :
       {std::tuple{kClient, kNodePort, 16}, std::tuple{kClient6, kNodePort6, 18}}) {
    auto spec = packet(client, frontend, Protocol::TCP);
    spec.payload = std::string(2600, 'x');
    auto frame = build(spec);
    frame[length_at] = frame[length_at + 1] = 0;
    EXPECT_EQ(path_.run(Hook::Ingress, frame, 1300).action, kRedirect) << client;
    EXPECT_EQ(path_.run(Hook::Ingress, frame).frame, frame) << client << ": malformed";
  }
}

TEST_F(TcPackets, RejectAndDrop) {
  const auto reset = ingress(packet(kClient, kRefused, Protocol::TCP));
  ASSERT_EQ(reset.action, kRedirect);
  EXPECT_EQ(reset.view().tcp_flags, kRst | kAck);
  EXPECT_EQ(reset.view().acknowledged, 1000U + 5 + 1);
  EXPECT_EQ(reset.view().source, kRefused);
  EXPECT_EQ(reset.view().destination, kClient);
  EXPECT_TRUE(reset.view().is_sent_back);
  EXPECT_TRUE(reset.view().checksums_right);
  const auto reset6 = ingress(packet(kClient6, kRefused6, Protocol::TCP));
  EXPECT_EQ(reset6.view().tcp_flags, kRst | kAck);
  EXPECT_TRUE(reset6.view().checksums_right);

  const auto unreachable = ingress(packet(kClient, kRefused)).view();
  EXPECT_EQ(unreachable.icmp_type, 3);
  EXPECT_EQ(unreachable.icmp_code, 3);
  EXPECT_EQ(unreachable.embedded_source, kClient);
  EXPECT_TRUE(unreachable.checksums_right);
  const auto unreachable6 = ingress(packet(kClient6, kRefused6)).view();
  EXPECT_EQ(unreachable6.icmp_type, 1);
  EXPECT_EQ(unreachable6.icmp_code, 4);
  EXPECT_TRUE(unreachable6.checksums_right);

  EXPECT_EQ(ingress(packet(kClient, kDropped)).action, kDrop);
  EXPECT_EQ(path_.event(TOPOLB_EVENT_DROPPED), 1U);
}

TEST_F(TcPackets, AnswersAreLimited) {
  int answered = 0;
  for (int i = 0; i < 2000; ++i) {
    answered += ingress(packet(kClient, kRefused)).action == kRedirect ? 1 : 0;
  }
  EXPECT_GE(answered, 100);
  EXPECT_LT(answered, 2000);
  EXPECT_GT(path_.event(TOPOLB_EVENT_REPLY_LIMITED), 0U);
}

TEST_F(TcPackets, IcmpErrorsReachTheSenderOfThePacket) {
  // From beyond the client's router, about a reply of a remote backend.
  const auto there = ingress(packet(kClient, kNodePort)).view();
  IcmpErrorSpec needed{.source = "198.51.100.1",
                       .destination = "192.0.2.10",
                       .code = 4,
                       .mtu = 1200,
                       .frame = build(packet(kNodePort, kClient))};
  const auto to_backend = path_.run(Hook::Ingress, build_icmp_error(needed));
  ASSERT_EQ(to_backend.action, kRedirect);
  EXPECT_EQ(to_backend.view().destination, "10.1.0.5");
  EXPECT_EQ(to_backend.view().source, "192.0.2.10");
  EXPECT_EQ(to_backend.view().embedded_source, kRemote);
  EXPECT_EQ(to_backend.view().embedded_destination, there.source);
  EXPECT_EQ(to_backend.view().mtu, 1200U);
  EXPECT_TRUE(to_backend.view().checksums_right);

  // From the remote backend, about the client's packet; quoted as short as may be.
  IcmpErrorSpec closed{.source = "10.1.0.5",
                       .destination = "192.0.2.10",
                       .frame = build(packet(there.source, kRemote)),
                       .embedded = 28};
  const auto to_client = path_.run(Hook::Ingress, build_icmp_error(closed));
  ASSERT_EQ(to_client.action, kRedirect);
  EXPECT_EQ(to_client.view().source, "192.0.2.10");
  EXPECT_EQ(to_client.view().destination, "198.51.100.7");
  EXPECT_EQ(to_client.view().embedded_source, kClient);
  EXPECT_EQ(to_client.view().embedded_destination, kNodePort);
  EXPECT_TRUE(to_client.view().checksums_right);

  // From a local backend, on its way out.
  ingress(packet(kClient, kNear));
  IcmpErrorSpec local{
      .source = "10.2.0.2", .destination = "198.51.100.7", .frame = build(packet(kClient, kLocal))};
  const auto out = path_.run(Hook::Egress, build_icmp_error(local));
  EXPECT_EQ(out.action, kPass);
  EXPECT_EQ(out.view().source, "203.0.113.5");
  EXPECT_EQ(out.view().embedded_destination, kNear);
  EXPECT_TRUE(out.view().checksums_right);
}

TEST_F(TcPackets, Icmpv6Errors) {
  const auto there = ingress(packet(kClient6, kNodePort6)).view();
  IcmpErrorSpec closed{.source = "fd00:1::5",
                       .destination = "2001:db8::10",
                       .type = 1,
                       .code = 4,
                       .frame = build(packet(there.source, kRemote6))};
  const auto got = path_.run(Hook::Ingress, build_icmp_error(closed));
  ASSERT_EQ(got.action, kRedirect);
  EXPECT_EQ(got.view().source, "2001:db8::10");
  EXPECT_EQ(got.view().destination, "2001:db8:5::7");
  EXPECT_EQ(got.view().embedded_source, kClient6);
  EXPECT_EQ(got.view().embedded_destination, kNodePort6);
  EXPECT_TRUE(got.view().checksums_right);
}

TEST_F(TcPackets, MalformedPacketsAreNotTranslated) {
  const std::vector<Bytes> whole{
      build(packet(kClient, kNodePort, Protocol::TCP)), build(packet(kClient, kNodePort)),
      build(packet(kClient6, kNodePort6, Protocol::TCP)), build(packet(kClient6, kNodePort6))};
  for (const auto& frame : whole) {
    // The kernel refuses to run a frame without a whole IP header.
    const std::size_t least = frame[12] == 0x08 ? 34 : 54;
    for (std::size_t length = least; length < frame.size(); ++length) {
      const Bytes cut(frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(length));
      const auto got = path_.run(Hook::Ingress, cut);
      EXPECT_EQ(got.action, kPass) << length;
      EXPECT_EQ(got.frame, cut) << length;
    }
  }
  EXPECT_EQ(path_.flows().count(), 0U);
}

TEST_F(TcPackets, NothingBreaksOnRandomBytes) {
  std::mt19937 random(1);
  for (int round = 0; round < 20000; ++round) {
    auto frame = build(round % 2 == 0 ? packet(kClient, kNodePort, Protocol::TCP)
                                      : packet(kClient6, kNodePort6));
    for (int change = 0; change < 3; ++change) {
      frame[14 + random() % (frame.size() - 14)] = static_cast<std::uint8_t>(random());
    }
    const auto got = path_.run(static_cast<Hook>(round % 3), frame);
    EXPECT_TRUE(got.action == kPass || got.action == kDrop || got.action == kRedirect);
  }
}

}  // namespace
}  // namespace topolb::test
