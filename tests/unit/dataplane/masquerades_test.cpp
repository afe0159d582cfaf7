// SPDX-License-Identifier: Apache-2.0
// Which address flows get by which device. Source: kube-proxy's MASQUERADE
// (iptables-extensions(8)); docs/decisions/0048.
#include "dataplane/masquerades.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>

#include "dataplane/kernel_state.h"

namespace topolb::dataplane {
namespace {

constexpr std::uint32_t kEth0 = 2;
constexpr std::uint32_t kEth1 = 3;

class DeviceMasquerades : public ::testing::Test {
 protected:
  DeviceMasquerades() {
    (void)choose_masquerades(*settings_,
                             {IpAddress::parse("192.0.2.10"), IpAddress::parse("2001:db8::10")});
  }

  Result<void> choose(const std::vector<std::uint32_t>& devices,
                      const std::vector<std::pair<const char*, std::uint32_t>>& addresses) {
    std::vector<NodeAddress> list;
    for (const auto& [address, index] : addresses) {
      list.push_back({*IpAddress::parse(address), index});
    }
    return choose_device_masquerades(*settings_, devices, list);
  }

  /// "10.0.0.1 fd00::1" by device; "-": the node's.
  [[nodiscard]] std::map<std::uint32_t, std::string> chosen() const {
    std::map<std::uint32_t, std::string> chosen;
    for (std::size_t i = 0; i < settings_->masquerade_device_count; ++i) {
      const auto& device = settings_->masquerade_devices[i];
      const auto text = [&](std::uint8_t row) {
        return row == 0 ? "-" : from_wire(settings_->masquerades[row]).to_string();
      };
      chosen[device.interface_index] =
          text(device.rows[TOPOLB_IPV4]) + " " + text(device.rows[TOPOLB_IPV6]);
    }
    return chosen;
  }

  using Chosen = std::map<std::uint32_t, std::string>;
  std::unique_ptr<topolb_settings> settings_ = std::make_unique<topolb_settings>();
};

TEST_F(DeviceMasquerades, NodePortsAreFoundAtOnceByThoseThatAnswer) {
  const auto rows = [&](const std::string& answering) {
    choose_node_port_rows(
        *settings_, [&](const IpAddress& address) { return address.to_string() == answering; });
    return std::pair(settings_->node_port_rows[TOPOLB_IPV4],
                     settings_->node_port_rows[TOPOLB_IPV6]);
  };
  const auto ipv4 = settings_->node_masquerades[TOPOLB_IPV4];
  const auto ipv6 = settings_->node_masquerades[TOPOLB_IPV6];
  EXPECT_EQ(rows("192.0.2.10"), std::pair(ipv4, std::uint8_t{0}));
  EXPECT_EQ(rows("2001:db8::10"), std::pair(std::uint8_t{0}, ipv6));
  EXPECT_EQ(rows("192.0.2.11"), std::pair(std::uint8_t{0}, std::uint8_t{0}));
}

TEST_F(DeviceMasquerades, OneDeviceHasTheNodesAddresses) {
  EXPECT_TRUE(
      choose({kEth0}, {{"192.0.2.9", kEth0}, {"192.0.2.10", kEth0}, {"2001:db8::10", kEth0}}));
  EXPECT_EQ(chosen(), Chosen{});
}

TEST_F(DeviceMasquerades, OthersHaveTheirFirstOfEachFamily) {
  EXPECT_TRUE(choose({kEth0, kEth1}, {{"192.0.2.10", kEth0},
                                      {"10.0.0.2", kEth1},
                                      {"10.0.0.1", kEth1},
                                      {"2001:db8::10", kEth1},
                                      {"fd00::1", kEth0}}));
  EXPECT_EQ(chosen(), (Chosen{{kEth0, "- fd00::1"}, {kEth1, "10.0.0.2 -"}}));
}

TEST_F(DeviceMasquerades, WhatIsChosenStaysAsLongAsItIsThere) {
  EXPECT_TRUE(choose({kEth1}, {{"10.0.0.1", kEth1}}));
  EXPECT_TRUE(choose({kEth1}, {{"10.0.0.2", kEth1}, {"10.0.0.1", kEth1}}));
  EXPECT_EQ(chosen(), (Chosen{{kEth1, "10.0.0.1 -"}}));
  EXPECT_TRUE(choose({kEth1}, {{"10.0.0.2", kEth1}}));
  EXPECT_EQ(chosen(), (Chosen{{kEth1, "10.0.0.2 -"}}));
  EXPECT_TRUE(choose({}, {{"10.0.0.2", kEth1}}));
  EXPECT_EQ(chosen(), Chosen{});
}

TEST_F(DeviceMasquerades, MoreThanThereIsRoomForHaveTheNodes) {
  std::vector<std::uint32_t> devices;
  std::vector<std::pair<const char*, std::uint32_t>> addresses;
  for (std::uint32_t index = 10; index < 10 + TOPOLB_MASQUERADE_DEVICES + 1; ++index) {
    devices.push_back(index);
    addresses.emplace_back("10.0.0.1", index);
  }
  EXPECT_TRUE(choose(devices, addresses));
  EXPECT_EQ(chosen().size(), std::size_t{TOPOLB_MASQUERADE_DEVICES});
  EXPECT_FALSE(chosen().contains(devices.back()));
}

}  // namespace
}  // namespace topolb::dataplane
