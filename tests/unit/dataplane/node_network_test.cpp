// SPDX-License-Identifier: Apache-2.0
// Source: kube-proxy's pkg/proxy/util/nodeport_addresses.go and its default "primary".
#include "dataplane/node_network.h"

#include <gtest/gtest.h>

namespace topolb::dataplane {
namespace {

IpAddress address(const char* text) { return IpAddress::parse(text).value(); }

std::vector<IpPrefix> ranges(const std::vector<const char*>& texts) {
  std::vector<IpPrefix> result;
  result.reserve(texts.size());
  for (const auto* text : texts) result.push_back(IpPrefix::parse(text).value());
  return result;
}

TEST(NodePorts, AnswerOnPrimaryAddressesOrInRanges) {
  const PrimaryAddresses dual{address("192.0.2.10"), address("2001:db8::10")};
  const PrimaryAddresses ipv4{address("192.0.2.10"), std::nullopt};
  const struct {
    const char* address;
    PrimaryAddresses primary;
    std::vector<IpPrefix> ranges;
    bool answers;
  } cases[] = {
      {"192.0.2.10", dual, {}, true},
      {"192.0.2.11", dual, {}, false},
      {"127.0.0.1", dual, {}, false},
      {"2001:db8::10", dual, {}, true},
      {"2001:db8::11", dual, {}, false},
      {"2001:db8::10", ipv4, {}, false},
      {"192.0.2.11", dual, ranges({"192.0.2.0/28"}), true},
      {"192.0.2.10", dual, ranges({"198.51.100.0/24"}), false},
      {"192.0.2.99", dual, ranges({"198.51.100.0/24", "192.0.2.96/28"}), true},
      {"2001:db8::77", dual, ranges({"192.0.2.0/28"}), true},  // none of the family: all of it
      {"2001:db8::77", dual, ranges({"192.0.2.0/28", "2001:db8::10/128"}), false},
      {"192.0.2.11", dual, ranges({"0.0.0.0/0", "::/0"}), true},
  };
  for (const auto& tested : cases) {
    EXPECT_EQ(answers_node_ports(address(tested.address), tested.primary, tested.ranges),
              tested.answers)
        << tested.address << ", ranges: " << tested.ranges.size();
  }
}

TEST(FreePorts, AreTheLongestRunThatNobodyHandsOut) {
  const struct {
    const char* ephemeral;
    std::optional<PortRange> free;
  } cases[] = {
      {"32768 60999", PortRange{1024, 29999}},
      {"1024 29999", PortRange{32768, 65535}},
      {"2048 64000", PortRange{64001, 65535}},
      {"1024 65535", std::nullopt},
      {"2000 65000", std::nullopt},  // none of at least 1024
  };
  for (const auto& tested : cases) {
    const auto ports = parse_ephemeral_ports(tested.ephemeral, "");
    ASSERT_TRUE(ports) << tested.ephemeral;
    EXPECT_EQ(free_ports(*ports, kDefaultNodePorts), tested.free) << tested.ephemeral;
  }
}

}  // namespace
}  // namespace topolb::dataplane
