// SPDX-License-Identifier: Apache-2.0
// Answers to packets whose checksum was left to the device, as a veth device hands over what a
// socket of this machine sends: whole, whoever looks at their checksums, or not.
// Sources: RFC 792, 4443, 9293; virtio 1.2, 5.1.6 (how packet sockets take such packets).
#include <gtest/gtest.h>
#include <net/if.h>

#include <algorithm>
#include <optional>
#include <stdexcept>

#include "dataplane/tc_attach.h"
#include "support/packet_path.h"
#include "support/packet_socket.h"

namespace topolb::test {
namespace {

struct Places {
  std::string family, client, node, node_port, refused, remote;
};

const Places kIPv4{"IPv4",           "198.51.100.7:40000", "192.0.2.10", "192.0.2.10:30080",
                   "203.0.113.6:80", "10.1.0.5:8080"};
const Places kIPv6{"IPv6",
                   "[2001:db8:5::7]:40000",
                   "2001:db8::10",
                   "[2001:db8::10]:30080",
                   "[2001:db8:1::6]:80",
                   "[fd00:1::5]:8080"};

struct Case {
  Places at;
  Protocol protocol = Protocol::TCP;
  bool is_left = true;  // the checksum
};

std::string name_of(const ::testing::TestParamInfo<Case>& info) {
  return info.param.at.family + std::string(to_string(info.param.protocol)) +
         (info.param.is_left ? "LeftToDevice" : "Whole");
}

class TcAnswers : public ::testing::TestWithParam<Case> {
 protected:
  TcAnswers() : wire_("out0-peer") {
    const bool ipv4 = at().family == "IPv4";
    const auto to_remote = traffic({{"", {at().remote}}});
    const auto nobody = refused(core::Verdict::Reject);
    auto web =
        service("web", ipv4 ? "10.96.0.1:80" : "[fd00:96::1]:80", GetParam().protocol, to_remote);
    auto none =
        service("none", ipv4 ? "10.96.0.2:80" : "[fd00:96::2]:80", GetParam().protocol, nobody);
    add_frontend(web, core::FrontendKind::NodePort, ipv4 ? "0.0.0.0:30080" : "[::]:30080",
                 to_remote);
    add_frontend(none, core::FrontendKind::LoadBalancer, at().refused, nobody);
    path_.publish({web, none});
    const auto attached =
        dataplane::attach_tc_filter({::if_nametoindex("out0"), "out0"},
                                    dataplane::TcDirection::Ingress, path_.program(Hook::Ingress));
    if (!attached) throw std::runtime_error(attached.error().message());
  }

  [[nodiscard]] static const Places& at() { return GetParam().at; }
  [[nodiscard]] static PacketSpec packet(const std::string& destination) {
    PacketSpec spec;
    spec.source = at().client;
    spec.destination = destination;
    spec.protocol = GetParam().protocol;
    spec.payload = "hello";
    return spec;
  }
  /// What comes back, by the wire that the packet came by.
  [[nodiscard]] PacketView answer(const PacketSpec& spec, std::uint16_t gso_size = 0) const {
    wire_.send(build(spec), {.checksum = GetParam().is_left, .gso_size = gso_size});
    const auto got = wire_.receive([](const Bytes& frame) {
      return std::equal(kRouterMac.begin(), kRouterMac.end(), frame.begin());
    });
    if (!got) return {};
    EXPECT_FALSE(got->needs_checksum) << "of a device that has none";
    return look_at(got->frame);
  }
  static void expect_refused(const PacketView& got) {
    EXPECT_TRUE(got.checksums_right);
    EXPECT_EQ(got.payload, "");
    if (GetParam().protocol == Protocol::TCP) {
      EXPECT_EQ(got.tcp_flags, kRst | kAck);
      EXPECT_EQ(got.acknowledged, 1000U + 5 + 1);
      EXPECT_EQ(got.source, at().refused);
      EXPECT_EQ(got.destination, at().client);
      return;
    }
    EXPECT_EQ(got.icmp_type, at().family == "IPv4" ? 3 : 1);
    EXPECT_EQ(got.icmp_code, at().family == "IPv4" ? 3 : 4);
    expect_about_packet(got, at().refused);
  }
  static void expect_too_big(const PacketView& got, std::uint32_t mtu) {
    EXPECT_TRUE(got.checksums_right);
    EXPECT_EQ(got.icmp_type, at().family == "IPv4" ? 3 : 2);
    EXPECT_EQ(got.icmp_code, at().family == "IPv4" ? 4 : 0);
    EXPECT_EQ(got.mtu, mtu);
    expect_about_packet(got, at().node_port);
  }

  PacketPath path_;
  PacketSocket wire_;

 private:
  static void expect_about_packet(const PacketView& got, const std::string& destination) {
    EXPECT_EQ(got.embedded_source, at().client);
    EXPECT_EQ(got.embedded_destination, destination);
  }
};

INSTANTIATE_TEST_SUITE_P(
    Families, TcAnswers,
    ::testing::Values(Case{kIPv4, Protocol::TCP, true}, Case{kIPv4, Protocol::TCP, false},
                      Case{kIPv4, Protocol::UDP, true}, Case{kIPv4, Protocol::UDP, false},
                      Case{kIPv6, Protocol::TCP, true}, Case{kIPv6, Protocol::TCP, false},
                      Case{kIPv6, Protocol::UDP, true}, Case{kIPv6, Protocol::UDP, false}),
    name_of);

TEST_P(TcAnswers, Refusal) { expect_refused(answer(packet(at().refused))); }

TEST_P(TcAnswers, RefusalBehindOptionsAndExtensions) {
  auto spec = packet(at().refused);
  spec.ip_options = {1, 1, 1, 1, 1, 1, 1, 0};
  if (at().family == "IPv6") {
    spec.first_extension = 60;  // destination options: none but padding
    spec.extensions = {
        static_cast<std::uint8_t>(spec.protocol == Protocol::TCP ? 6 : 17), 0, 1, 4, 0, 0, 0, 0};
  }
  expect_refused(answer(spec));
}

// The way to the pods takes 1,400 bytes.
TEST_P(TcAnswers, TooBig) {
  auto spec = packet(at().node_port);
  spec.payload = std::string(1400, 'x');
  expect_too_big(answer(spec), 1400);
}

// Segments to be cut always leave their checksums to the device.
class TcAnswersToSegments : public TcAnswers {};
INSTANTIATE_TEST_SUITE_P(Families, TcAnswersToSegments,
                         ::testing::Values(Case{kIPv4, Protocol::TCP, true},
                                           Case{kIPv6, Protocol::TCP, true}),
                         name_of);

TEST_P(TcAnswersToSegments, TooBig) {
  auto spec = packet(at().node_port);
  spec.payload = std::string(20'000, 'x');
  expect_too_big(answer(spec, 1400), 1400);
}

}  // namespace
}  // namespace topolb::test
