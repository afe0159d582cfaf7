// SPDX-License-Identifier: Apache-2.0
#include "agent/node_problems.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace topolb::agent {
namespace {

using ::testing::HasSubstr;

dataplane::EphemeralPorts ephemeral(const std::string& range, const std::string& reserved = "") {
  return *dataplane::parse_ephemeral_ports(range, reserved);
}

TEST(NodeProblems, NodePortsOutsideOfTheRangeAreWell) {
  EXPECT_FALSE(ephemeral_node_ports("n1", {}, ephemeral("32768 60999")));
  EXPECT_FALSE(ephemeral_node_ports("n1", {30000, 32767}, ephemeral("32768 60999")));
  EXPECT_FALSE(ephemeral_node_ports("n1", {30000, 32767}, ephemeral("1024 60999", "30000-32767")));
}

TEST(NodeProblems, NodePortsInsideAreAProblemOfTheNode) {
  const auto one = ephemeral_node_ports("n1", {30000, 40000}, ephemeral("32768 60999"));
  ASSERT_TRUE(one);
  EXPECT_EQ(one->kind, "Node");
  EXPECT_EQ(one->name, "n1");
  EXPECT_EQ(one->reason, "NodePortsNotReserved");
  EXPECT_THAT(one->message, HasSubstr("NodePort 40000 is among"));
  EXPECT_THAT(one->message, HasSubstr("32768-60999"));
  const auto more =
      ephemeral_node_ports("n1", {30000, 30001, 30002, 30003}, ephemeral("30001 60999", "30002"));
  ASSERT_TRUE(more);
  EXPECT_THAT(more->message, HasSubstr("NodePort 30001 and 1 more up to 30003 are"));
}

}  // namespace
}  // namespace topolb::agent
