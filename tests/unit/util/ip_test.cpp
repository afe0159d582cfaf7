// SPDX-License-Identifier: Apache-2.0
// Addresses as text. Sources: design.md 3.1 (leading zeros are decimal), Kubernetes'
// netutils.ParseIPSloppy, RFC 5952.
#include "util/ip.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace topolb {
namespace {

struct ParseCase {
  std::string text;
  std::string canonical;  // "": no address
};

class Parse : public testing::TestWithParam<ParseCase> {};

TEST_P(Parse, AnAddress) {
  const auto address = IpAddress::parse(GetParam().text);
  ASSERT_EQ(address.has_value(), !GetParam().canonical.empty()) << GetParam().text;
  if (!address) return;
  EXPECT_EQ(address->to_string(), GetParam().canonical);
  EXPECT_EQ(IpAddress::parse(address->to_string()), address);
}

INSTANTIATE_TEST_SUITE_P(
    IPv4, Parse,
    testing::Values(ParseCase{"10.96.0.1", "10.96.0.1"}, ParseCase{"0.0.0.0", "0.0.0.0"},
                    ParseCase{"255.255.255.255", "255.255.255.255"},
                    ParseCase{"010.001.09.00", "10.1.9.0"}, ParseCase{"10.0.0.0001", "10.0.0.1"},
                    ParseCase{"", ""}, ParseCase{"10", ""}, ParseCase{"10.1.2", ""},
                    ParseCase{"10.1.2.", ""}, ParseCase{"10.1.2.3.", ""},
                    ParseCase{"10.1.2.3.4", ""}, ParseCase{"10.1.2.256", ""},
                    ParseCase{"10.1..3", ""}, ParseCase{".1.2.3", ""}, ParseCase{"10.1.2.-3", ""},
                    ParseCase{"10.1.2.+3", ""}, ParseCase{"10.1.2.0x3", ""},
                    ParseCase{" 10.1.2.3", ""}, ParseCase{"10.1.2.3 ", ""},
                    ParseCase{"10.1.2.3/32", ""}, ParseCase{"localhost", ""},
                    ParseCase{std::string("10.1.2.3\0", 9), ""}));

INSTANTIATE_TEST_SUITE_P(
    IPv6, Parse,
    testing::Values(ParseCase{"::", "::"}, ParseCase{"::1", "::1"},
                    ParseCase{"2001:DB8:0:0:0:0:0:1", "2001:db8::1"},
                    ParseCase{"2001:0db8::0001", "2001:db8::1"},
                    ParseCase{"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
                    ParseCase{"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},
                    ParseCase{"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
                    ParseCase{"fe80::", "fe80::"}, ParseCase{"::1.2.3.4", "::102:304"},
                    ParseCase{"::0.0.3.4", "::304"},
                    ParseCase{"64:ff9b::1.2.3.4", "64:ff9b::102:304"}, ParseCase{":", ""},
                    ParseCase{":::", ""}, ParseCase{"1::2::3", ""}, ParseCase{"1:2:3:4:5:6:7", ""},
                    ParseCase{"1:2:3:4:5:6:7:8:9", ""}, ParseCase{"12345::", ""},
                    ParseCase{"fe80::1%eth0", ""}, ParseCase{"[::1]", ""}, ParseCase{"::1/128", ""},
                    ParseCase{"::1 ", ""}, ParseCase{std::string("::1\0", 4), ""},
                    ParseCase{std::string("::\0"
                                          "1",
                                          4),
                              ""}));

INSTANTIATE_TEST_SUITE_P(MappedIsIPv4, Parse,
                         testing::Values(ParseCase{"::ffff:1.2.3.4", "1.2.3.4"},
                                         ParseCase{"::FFFF:0102:0304", "1.2.3.4"}));

TEST(IpAddress, KnowsItsFamily) {
  EXPECT_EQ(IpAddress::parse("10.0.0.1")->family(), Family::IPv4);
  EXPECT_EQ(IpAddress::parse("::ffff:10.0.0.1")->family(), Family::IPv4);
  EXPECT_EQ(IpAddress::parse("::10.0.0.1")->family(), Family::IPv6);
  EXPECT_EQ(IpAddress::parse("2001:db8::1")->family(), Family::IPv6);
}

TEST(IpAddress, Unspecified) {
  for (const auto& [family, text] : {std::pair{Family::IPv4, "0.0.0.0"}, {Family::IPv6, "::"}}) {
    const IpAddress address = IpAddress::unspecified(family);
    EXPECT_EQ(address.to_string(), text);
    EXPECT_EQ(address.family(), family);
    EXPECT_TRUE(address.is_unspecified());
  }
  EXPECT_EQ(IpAddress{}, IpAddress::unspecified(Family::IPv6));
  EXPECT_FALSE(IpAddress::parse("0.0.0.1")->is_unspecified());
  EXPECT_FALSE(IpAddress::parse("::1")->is_unspecified());
}

TEST(IpAddress, IPv4IsMapped) {
  const std::array<std::uint8_t, 16> bytes{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 1, 2, 3};
  EXPECT_EQ(IpAddress::parse("10.1.2.3")->bytes(), bytes);
  EXPECT_EQ(IpAddress(bytes).to_string(), "10.1.2.3");
}

TEST(IpAddress, IsOrderedByBytes) {
  const std::vector<std::string> ordered{"::1",       "0.0.0.0",     "9.255.255.255",
                                         "10.0.0.1",  "10.0.0.2",    "10.0.1.0",
                                         "200.0.0.1", "2001:db8::1", "2001:db8::1:0"};
  for (std::size_t i = 1; i < ordered.size(); ++i) {
    EXPECT_LT(IpAddress::parse(ordered[i - 1]), IpAddress::parse(ordered[i])) << ordered[i];
  }
}

TEST(IpPrefix, ParsesAndHolds) {
  struct Case {
    const char* text;
    const char* shown;  // nullptr: no prefix
    std::vector<const char*> inside, outside;
  };
  const std::vector<Case> cases{
      {"10.0.0.0/8",
       "10.0.0.0/8",
       {"10.0.0.0", "10.255.255.255"},
       {"11.0.0.0", "::a00:1", "fd00::1"}},
      {"192.0.2.77/25", "192.0.2.0/25", {"192.0.2.0", "192.0.2.127"}, {"192.0.2.128"}},
      {"192.0.2.7/32", "192.0.2.7/32", {"192.0.2.7"}, {"192.0.2.6"}},
      {"0.0.0.0/0", "0.0.0.0/0", {"0.0.0.0", "255.1.2.3"}, {"::", "2001:db8::1"}},
      {"::/0", "::/0", {"::", "2001:db8::1"}, {"192.0.2.1"}},
      {"2001:db8:0:f::1/63",
       "2001:db8:0:e::/63",
       {"2001:db8:0:e::", "2001:db8:0:f::9"},
       {"2001:db8:0:10::"}},
      {"2001:db8::1/128", "2001:db8::1/128", {"2001:db8::1"}, {"2001:db8::"}},
      {"10.0.0.0", nullptr, {}, {}},
      {"10.0.0.0/", nullptr, {}, {}},
      {"10.0.0.0/33", nullptr, {}, {}},
      {"10.0.0.0/-1", nullptr, {}, {}},
      {"10.0.0.0/8 ", nullptr, {}, {}},
      {"10.0.0/8", nullptr, {}, {}},
      {"2001:db8::/129", nullptr, {}, {}},
      {"/8", nullptr, {}, {}},
      {"", nullptr, {}, {}}};
  for (const auto& tested : cases) {
    SCOPED_TRACE(tested.text);
    const auto prefix = IpPrefix::parse(tested.text);
    ASSERT_EQ(prefix.has_value(), tested.shown != nullptr);
    if (!prefix) continue;
    EXPECT_EQ(prefix->to_string(), tested.shown);
    for (const auto* address : tested.inside)
      EXPECT_TRUE(prefix->contains(*IpAddress::parse(address))) << address;
    for (const auto* address : tested.outside)
      EXPECT_FALSE(prefix->contains(*IpAddress::parse(address))) << address;
  }
}

TEST(SocketAddress, AsText) {
  EXPECT_EQ((SocketAddress{*IpAddress::parse("10.1.0.5"), 8080}).to_string(), "10.1.0.5:8080");
  EXPECT_EQ((SocketAddress{*IpAddress::parse("2001:db8::1"), 80}).to_string(), "[2001:db8::1]:80");
}

TEST(SocketAddress, IsOrderedByAddressThenPort) {
  const SocketAddress a{*IpAddress::parse("10.0.0.1"), 90};
  const SocketAddress b{*IpAddress::parse("10.0.0.2"), 80};
  EXPECT_LT(a, b);
  EXPECT_LT((SocketAddress{a.address, 80}), a);
}

TEST(SocketAddress, IsHashedByAddressAndPort) {
  const std::hash<SocketAddress> hash;
  const SocketAddress a{*IpAddress::parse("10.0.0.1"), 80};
  EXPECT_EQ(hash(a), hash(SocketAddress{*IpAddress::parse("10.0.0.1"), 80}));
  EXPECT_NE(hash(a), hash(SocketAddress{a.address, 81}));
  EXPECT_NE(hash(a), hash(SocketAddress{*IpAddress::parse("10.0.0.2"), 80}));
}

TEST(Protocol, AsText) {
  for (const auto protocol : {Protocol::TCP, Protocol::UDP, Protocol::SCTP}) {
    EXPECT_EQ(parse_protocol(to_string(protocol)), protocol);
  }
  for (const char* text : {"", "tcp", "TCP ", "ICMP"})
    EXPECT_EQ(parse_protocol(text), std::nullopt);
  EXPECT_EQ(to_string(Family::IPv4), "IPv4");
  EXPECT_EQ(to_string(Family::IPv6), "IPv6");
}

}  // namespace
}  // namespace topolb
