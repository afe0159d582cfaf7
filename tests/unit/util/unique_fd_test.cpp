// SPDX-License-Identifier: Apache-2.0
#include "util/unique_fd.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <type_traits>

namespace topolb {
namespace {

static_assert(!std::is_copy_constructible_v<UniqueFd>);
static_assert(!std::is_copy_assignable_v<UniqueFd>);
static_assert(std::is_nothrow_move_constructible_v<UniqueFd>);
static_assert(std::is_nothrow_move_assignable_v<UniqueFd>);

int open_null() { return ::open("/dev/null", O_RDONLY | O_CLOEXEC); }
bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

TEST(UniqueFd, IsEmptyAtFirst) {
  const UniqueFd fd;
  EXPECT_FALSE(fd);
  EXPECT_EQ(fd.get(), -1);
}

TEST(UniqueFd, ClosesAtTheEnd) {
  const int raw = open_null();
  {
    const UniqueFd fd(raw);
    EXPECT_TRUE(fd);
    EXPECT_TRUE(is_open(raw));
  }
  EXPECT_FALSE(is_open(raw));
}

TEST(UniqueFd, MovesLeaveTheSourceEmpty) {
  UniqueFd source(open_null());
  const int raw = source.get();
  UniqueFd target(std::move(source));
  EXPECT_FALSE(source);  // NOLINT(bugprone-use-after-move): the promise under test
  EXPECT_EQ(target.get(), raw);
  EXPECT_TRUE(is_open(raw));
}

TEST(UniqueFd, MoveAssignmentClosesTheOldOne) {
  UniqueFd target(open_null());
  const int old = target.get();
  UniqueFd source(open_null());
  const int raw = source.get();
  target = std::move(source);
  EXPECT_FALSE(is_open(old));
  EXPECT_TRUE(is_open(raw));
  EXPECT_EQ(target.get(), raw);
}

TEST(UniqueFd, SurvivesSelfMove) {
  UniqueFd fd(open_null());
  const int raw = fd.get();
  UniqueFd& same = fd;
  fd = std::move(same);
  EXPECT_EQ(fd.get(), raw);
  EXPECT_TRUE(is_open(raw));
}

TEST(UniqueFd, ReleaseGivesItAway) {
  UniqueFd fd(open_null());
  const int raw = fd.release();
  EXPECT_FALSE(fd);
  EXPECT_TRUE(is_open(raw));
  UniqueFd(raw).reset();
  EXPECT_FALSE(is_open(raw));
}

TEST(UniqueFd, ResetClosesAndTakes) {
  UniqueFd fd(open_null());
  const int first = fd.get();
  const int second = open_null();
  fd.reset(second);
  EXPECT_FALSE(is_open(first));
  EXPECT_EQ(fd.get(), second);
  fd.reset();
  EXPECT_FALSE(is_open(second));
  EXPECT_FALSE(fd);
}

}  // namespace
}  // namespace topolb
