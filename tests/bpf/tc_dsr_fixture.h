// SPDX-License-Identifier: Apache-2.0
// Tests of direct server return by BPF_PROG_TEST_RUN: this node as the one that was dialled, and as
// the backend's, in both families and protocols.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <ostream>
#include <string>
#include <vector>

#include "support/packet_path.h"
#include "support/sockets.h"

namespace topolb::test {

struct Places {
  const char* name;
  std::string client, node, other_node, node_port, other_node_port, balancer, remote, local;
  std::string remote_pod, local_pod, any, cluster_ip;
  std::uint32_t overhead;
};

inline const Places kIPv4{"IPv4",
                          "198.51.100.7",
                          "192.0.2.10",
                          "192.0.2.11",
                          "192.0.2.10:30080",
                          "192.0.2.11:30080",
                          "203.0.113.5:80",
                          "10.1.0.5:8080",
                          "10.2.0.2:8080",
                          "10.1.0.5",
                          "10.2.0.2",
                          "0.0.0.0:30080",
                          "10.96.0.1:80",
                          20};
inline const Places kIPv6{"IPv6",
                          "2001:db8:5::7",
                          "2001:db8::10",
                          "2001:db8::11",
                          "[2001:db8::10]:30080",
                          "[2001:db8::11]:30080",
                          "[2001:db8:1::5]:80",
                          "[fd00:1::5]:8080",
                          "[fd00:2::2]:8080",
                          "fd00:1::5",
                          "fd00:2::2",
                          "[::]:30080",
                          "[fd00:96::1]:80",
                          40};

struct Case {
  Places places;
  Protocol protocol;
};

inline void PrintTo(const Case& tested, std::ostream* out) {
  *out << tested.places.name << " " << to_string(tested.protocol);
}

inline std::string socket_of(const std::string& host, int port) {
  return (host.find(':') == std::string::npos ? host : "[" + host + "]") + ":" +
         std::to_string(port);
}

inline constexpr std::uint8_t kHandedBack = 32;  // the TTL that tells

class TcDsr : public ::testing::TestWithParam<Case> {
 protected:
  [[nodiscard]] const Places& at() const { return GetParam().places; }
  [[nodiscard]] bool is_tcp() const { return GetParam().protocol == Protocol::TCP; }

  /// A NodePort and a LoadBalancer of these backends; here is what `local` is.
  void publish(const std::vector<std::string>& backends) {
    auto plan = service("web", at().cluster_ip, GetParam().protocol, traffic({{"", backends}}));
    add_frontend(plan, core::FrontendKind::NodePort, at().any, traffic({{"", backends}}));
    add_frontend(plan, core::FrontendKind::LoadBalancer, at().balancer, traffic({{"", backends}}));
    path_.publish({plan}, {at().local});
  }

  [[nodiscard]] Bytes packet(const std::string& source, const std::string& destination,
                             std::uint8_t flags = kSyn, std::uint8_t ttl = 64,
                             const std::string& payload = "hello") const {
    PacketSpec spec;
    spec.source = source;
    spec.destination = destination;
    spec.protocol = GetParam().protocol;
    spec.tcp_flags = flags;
    spec.ttl = ttl;
    spec.payload = payload;
    return build(spec);
  }
  /// To this node, by the node of a backend.
  [[nodiscard]] Bytes handed_back(const Bytes& inner, const std::string& pod) const {
    return wrap(inner, pod, at().node, kHandedBack);
  }
  /// From the other node, to a pod of this one.
  [[nodiscard]] Bytes wrapped(const Bytes& inner, std::uint8_t ttl = 64) const {
    return wrap(inner, at().other_node, at().local_pod, ttl);
  }
  [[nodiscard]] std::string client(int port = 40000) const { return socket_of(at().client, port); }

  void expect_left_alone(const Bytes& frame, const char* why) {
    const auto got = path_.run(Hook::Ingress, frame);
    EXPECT_EQ(got.action, kPass) << why;
    EXPECT_EQ(got.frame, frame) << why;
  }

  PacketPath path_{4096, plenty(), true};
};

inline const auto kDsrCases =
    ::testing::Values(Case{kIPv4, Protocol::TCP}, Case{kIPv4, Protocol::UDP},
                      Case{kIPv6, Protocol::TCP}, Case{kIPv6, Protocol::UDP});

inline std::string name_of_case(const ::testing::TestParamInfo<Case>& info) {
  return std::string(info.param.places.name) + std::string(to_string(info.param.protocol));
}

}  // namespace topolb::test
