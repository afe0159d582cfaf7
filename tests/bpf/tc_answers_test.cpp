// SPDX-License-Identifier: Apache-2.0
// Packets as devices hand them over and take them: with checksums that are left to the device, as
// of a socket of this machine, and with VLAN tags beside or in them. Answers to them are whole,
// whoever looks at their checksums, or not.
// Sources: RFC 792, 4443, 9293; virtio 1.2, 5.1.6 (how packet sockets take such packets).
#include <gtest/gtest.h>
#include <net/if.h>

#include <algorithm>
#include <functional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "dataplane/tc_attach.h"
#include "support/packet_path.h"
#include "support/packet_socket.h"
#include "support/sockets.h"

namespace topolb::test {
namespace {

struct Places {
  std::string family, client, router, node_port, refused, remote;
};

const Places kIPv4{"IPv4",           "198.51.100.7:40000", "192.0.2.1", "192.0.2.10:30080",
                   "203.0.113.6:80", "10.1.0.5:8080"};
const Places kIPv6{"IPv6",
                   "[2001:db8:5::7]:40000",
                   "[2001:db8::1]",
                   "[2001:db8::10]:30080",
                   "[2001:db8:1::6]:80",
                   "[fd00:1::5]:8080"};

struct Case {
  Places at;
  Protocol protocol = Protocol::TCP;
  bool is_left = true;  // the checksum
};

class TcAnswers : public ::testing::Test {
 protected:
  TcAnswers() : wire_("out0-peer") {
    std::vector<core::ServicePortPlan> plans;
    for (const auto& at : {kIPv4, kIPv6}) {
      for (const auto protocol : {Protocol::TCP, Protocol::UDP}) add_services(plans, at, protocol);
      for (const auto& [address, device] :
           {std::pair{at.remote, "cluster0"}, std::pair{at.router + ":0", "out0"}}) {
        run("ip neighbour replace " + socket_address(address).address.to_string() +
            " lladdr 02:00:00:00:00:02 dev " + device);
      }
    }
    path_.publish(plans);
    const auto attached =
        dataplane::attach_tc_filter({::if_nametoindex("out0"), "out0"},
                                    dataplane::TcDirection::Ingress, path_.program(Hook::Ingress));
    if (!attached) throw std::runtime_error(attached.error().message());
  }

  /// Both families, both protocols, both kinds of checksums.
  void for_every_packet(const std::function<void()>& check) {
    for (const auto& at : {kIPv4, kIPv6}) {
      for (const auto protocol : {Protocol::TCP, Protocol::UDP}) {
        for (const bool is_left : {true, false}) {
          case_ = {at, protocol, is_left};
          SCOPED_TRACE(at.client + " " + std::string(to_string(protocol)) +
                       (is_left ? ", checksum left to the device" : ""));
          check();
        }
      }
    }
  }
  [[nodiscard]] const Places& at() const { return case_.at; }
  [[nodiscard]] PacketSpec packet(const std::string& destination) const {
    PacketSpec spec;
    spec.source = at().client;
    spec.destination = destination;
    spec.protocol = case_.protocol;
    spec.payload = "hello";
    return spec;
  }
  void send(const PacketSpec& spec, std::uint16_t gso_size = 0) const {
    wire_.send(build(spec), {.checksum = case_.is_left, .gso_size = gso_size});
  }
  /// What the node sends to its router, or to another node's pod.
  [[nodiscard]] Received next_of(const PacketSocket& wire) const {
    const auto got = wire.receive([](const Bytes& frame) {
      return std::equal(kRouterMac.begin(), kRouterMac.end(), frame.begin());
    });
    EXPECT_TRUE(got) << "nothing was sent";
    return got.value_or(Received{.frame = build(packet(at().node_port))});
  }
  /// What comes back, by the wire that the packet came by.
  [[nodiscard]] PacketView answer(const PacketSpec& spec, std::uint16_t gso_size = 0) const {
    send(spec, gso_size);
    const auto got = next_of(wire_);
    EXPECT_FALSE(got.needs_checksum) << "of a device that has none";
    EXPECT_EQ(tags_of(got.frame), spec.vlan_tags);
    return look_at(got.frame);
  }
  [[nodiscard]] static std::vector<std::uint16_t> tags_of(const Bytes& frame) {
    std::vector<std::uint16_t> tags;
    for (std::size_t at = 12; frame[at] == 0x81 || frame[at] == 0x88; at += 4) {
      tags.push_back(static_cast<std::uint16_t>(frame[at + 2] << 8 | frame[at + 3]));
    }
    return tags;
  }
  void expect_refused(const PacketView& got) const {
    EXPECT_TRUE(got.checksums_right);
    EXPECT_EQ(got.payload, "");
    if (case_.protocol == Protocol::TCP) {
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
  void expect_too_big(const PacketView& got, std::uint32_t mtu) const {
    EXPECT_TRUE(got.checksums_right);
    EXPECT_EQ(got.icmp_type, at().family == "IPv4" ? 3 : 2);
    EXPECT_EQ(got.icmp_code, at().family == "IPv4" ? 4 : 0);
    EXPECT_EQ(got.mtu, mtu);
    expect_about_packet(got, at().node_port);
  }

  PacketPath path_;
  PacketSocket wire_;
  Case case_{kIPv4};

  void expect_untagged_both_ways(const std::vector<std::uint16_t>& tags,
                                 const PacketSocket& pods) const {
    auto spec = packet(at().node_port);
    spec.vlan_tags = tags;
    send(spec);
    const auto there = next_of(pods).frame;
    EXPECT_TRUE(tags_of(there).empty());
    EXPECT_EQ(look_at(there).destination, at().remote);
    EXPECT_TRUE(look_at(there).checksums_right);

    spec = packet(look_at(there).source);
    spec.source = at().remote;
    spec.tcp_flags = kSyn | kAck;
    spec.vlan_tags = tags;
    send(spec);
    const auto back = next_of(wire_).frame;
    EXPECT_TRUE(tags_of(back).empty());
    EXPECT_EQ(look_at(back).destination, at().client);
    EXPECT_TRUE(look_at(back).checksums_right);
  }

 private:
  static void add_services(std::vector<core::ServicePortPlan>& plans, const Places& at,
                           Protocol protocol) {
    const bool ipv4 = at.family == "IPv4";
    const auto name = at.family + std::string(to_string(protocol));
    const auto to_remote = traffic({{"", {at.remote}}});
    const auto nobody = refused(core::Verdict::Reject);
    auto web =
        service("web" + name, ipv4 ? "10.96.0.1:80" : "[fd00:96::1]:80", protocol, to_remote);
    auto none = service("no" + name, ipv4 ? "10.96.0.2:80" : "[fd00:96::2]:80", protocol, nobody);
    add_frontend(web, core::FrontendKind::NodePort, ipv4 ? "0.0.0.0:30080" : "[::]:30080",
                 to_remote);
    add_frontend(none, core::FrontendKind::LoadBalancer, at.refused, nobody);
    plans.insert(plans.end(), {web, none});
  }
  void expect_about_packet(const PacketView& got, const std::string& destination) const {
    EXPECT_EQ(got.embedded_source, at().client);
    EXPECT_EQ(got.embedded_destination, destination);
  }
};

TEST_F(TcAnswers, Refusal) {
  for_every_packet([&] { expect_refused(answer(packet(at().refused))); });
}

TEST_F(TcAnswers, RefusalBehindOptionsAndExtensions) {
  for_every_packet([&] {
    auto spec = packet(at().refused);
    spec.ip_options = {1, 1, 1, 1, 1, 1, 1, 0};
    if (at().family == "IPv6") {
      spec.first_extension = 60;  // destination options: none but padding
      spec.extensions = {
          static_cast<std::uint8_t>(spec.protocol == Protocol::TCP ? 6 : 17), 0, 1, 4, 0, 0, 0, 0};
    }
    expect_refused(answer(spec));
  });
}

// The way to the pods takes 1,400 bytes.
TEST_F(TcAnswers, TooBig) {
  for_every_packet([&] {
    auto spec = packet(at().node_port);
    spec.payload = std::string(1400, 'x');
    expect_too_big(answer(spec), 1400);
  });
}

// To be cut, which is left to the device with their checksums.
TEST_F(TcAnswers, SegmentsTooBig) {
  for (const auto& at : {kIPv4, kIPv6}) {
    case_ = {at, Protocol::TCP, true};
    auto spec = packet(at.node_port);
    spec.payload = std::string(20'000, 'x');
    expect_too_big(answer(spec, 1400), 1400);
  }
}

TEST_F(TcAnswers, VlanTagsGoBackWithTheAnswer) {
  for_every_packet([&] {
    auto spec = packet(at().refused);
    spec.vlan_tags = {7};
    expect_refused(answer(spec));
  });
}

// There and back, each by another link, which the tags are not of.
TEST_F(TcAnswers, VlanTagsEndWithTheirLink) {
  const PacketSocket pods("cluster0-peer");
  for (const auto& tags : {std::vector<std::uint16_t>{7}, {8, 7}}) {
    for_every_packet([&] { expect_untagged_both_ways(tags, pods); });
  }
}

}  // namespace
}  // namespace topolb::test
