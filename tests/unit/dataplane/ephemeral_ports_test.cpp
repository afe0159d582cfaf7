// SPDX-License-Identifier: Apache-2.0
// Source: the kernel's Documentation/networking/ip-sysctl.rst.
#include "dataplane/ephemeral_ports.h"

#include <gtest/gtest.h>

namespace topolb::dataplane {
namespace {

TEST(EphemeralPorts, TheRangeWithoutWhatIsReserved) {
  const auto ports = parse_ephemeral_ports("32768\t60999", "30000-32770,40000");
  ASSERT_TRUE(ports) << ports.error().message();
  for (const int port : {32771, 39999, 40001, 60999}) {
    EXPECT_TRUE(ports->contains(static_cast<std::uint16_t>(port))) << port;
  }
  for (const int port : {0, 30000, 32767, 32768, 32770, 40000, 61000, 65535}) {
    EXPECT_FALSE(ports->contains(static_cast<std::uint16_t>(port))) << port;
  }
}

TEST(EphemeralPorts, NothingReserved) {
  const auto ports = parse_ephemeral_ports("1024 65535", "");
  ASSERT_TRUE(ports);
  EXPECT_TRUE(ports->contains(1024));
  EXPECT_TRUE(ports->contains(65535));
  EXPECT_FALSE(ports->contains(1023));
}

TEST(EphemeralPorts, NonsenseIsAnError) {
  for (const auto* range : {"", "1", "x y", "2 1", "1 70000"}) {
    EXPECT_FALSE(parse_ephemeral_ports(range, "")) << range;
  }
  EXPECT_FALSE(parse_ephemeral_ports("1 2", "x"));
}

TEST(EphemeralPorts, ThisMachineHasSome) {
  const auto ports = read_ephemeral_ports();
  ASSERT_TRUE(ports) << ports.error().message();
  EXPECT_GT(ports->last, 0);
}

}  // namespace
}  // namespace topolb::dataplane
