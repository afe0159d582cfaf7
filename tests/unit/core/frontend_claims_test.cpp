// SPDX-License-Identifier: Apache-2.0
// Who gets a frontend that several ask for, and whether somebody gets none.
#include "core/frontend_claims.h"

#include <gtest/gtest.h>

#include <array>

namespace topolb::core {
namespace {

const std::array<ObjectKey, 3> kServices{{{"a", "web"}, {"b", "web"}, {"c", "web"}}};
const FrontendAddress kFrontend{{*IpAddress::parse("192.0.2.1"), 80}, Protocol::TCP};
const FrontendAddress kOther{{*IpAddress::parse("192.0.2.1"), 80}, Protocol::UDP};

Claimant claimant(std::size_t number) { return {&kServices[number], 80}; }

TEST(FrontendClaims, TheFirstByKeyWins) {
  FrontendClaims claims;
  for (const std::size_t number : {2U, 0U, 1U}) claims.add(kFrontend, claimant(number));
  EXPECT_EQ(claims.winner(kFrontend), claimant(0));
  EXPECT_EQ(claims.claimants(kFrontend).size(), 3U);
}

// In whatever order they come and go.
TEST(FrontendClaims, ConflictEndsWithTheLastButOne) {
  for (const auto& order : {std::array{0U, 1U, 2U}, {1U, 0U, 2U}, {2U, 1U, 0U}, {1U, 2U, 0U}}) {
    FrontendClaims claims;
    claims.add(kOther, claimant(0));
    for (std::size_t i = 0; i < order.size(); ++i) {
      claims.add(kFrontend, claimant(order[i]));
      claims.add(kFrontend, claimant(order[i]));  // twice is once
      EXPECT_EQ(claims.any_conflict(), i > 0);
    }
    for (std::size_t i = 0; i < order.size(); ++i) {
      claims.release(kFrontend, claimant(order[i]));
      claims.release(kFrontend, claimant(order[i]));
      EXPECT_EQ(claims.any_conflict(), i == 0);
    }
  }
}

}  // namespace
}  // namespace topolb::core
