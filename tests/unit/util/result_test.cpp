// SPDX-License-Identifier: Apache-2.0
#include "util/result.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <memory>

namespace topolb {
namespace {

TEST(Result, HoldsAValue) {
  const Result<int> result(7);
  ASSERT_TRUE(result);
  EXPECT_TRUE(result.has_value());
  EXPECT_EQ(*result, 7);
}

TEST(Result, HoldsAnError) {
  const Result<int> result(make_error("read a thing"));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().what, "read a thing");
}

TEST(Result, GivesAMoveOnlyValueAway) {
  Result<std::unique_ptr<int>> result(std::make_unique<int>(7));
  const std::unique_ptr<int> value = std::move(result).value();
  EXPECT_EQ(*value, 7);
  Result<std::unique_ptr<int>> other(std::make_unique<int>(8));
  EXPECT_EQ(**other, 8);
  EXPECT_EQ(*other->get(), 8);
}

TEST(Result, OfAnErrorLikeValueIsUnambiguous) {
  const Result<std::string> value(std::string("an error"));
  EXPECT_TRUE(value.has_value());
}

TEST(Result, OfNothing) {
  EXPECT_TRUE(Result<void>());
  const Result<void> failed(make_error("do it"));
  EXPECT_FALSE(failed);
  EXPECT_EQ(failed.error().what, "do it");
}

TEST(Error, SaysOperationAndCause) {
  EXPECT_EQ(errno_error(ENOENT, "open /nowhere").message(),
            "open /nowhere: No such file or directory");
  EXPECT_EQ((Error{{}, "read a thing"}).message(), "read a thing");
  EXPECT_EQ(errno_error(EPERM, "x").code, std::errc::operation_not_permitted);
}

}  // namespace
}  // namespace topolb
