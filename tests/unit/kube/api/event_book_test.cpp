// SPDX-License-Identifier: Apache-2.0
#include "kube/event_book.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace topolb::kube {
namespace {

using namespace std::chrono_literals;

core::Problem problem(const std::string& name, const std::string& reason = "Wrong") {
  return {"Service", "default", name, reason, "it is wrong"};
}

class EventBookTest : public testing::Test {
 protected:
  /// The names of those that can be written now, each due again `later`.
  std::vector<std::string> written(bool as_holder = true, std::chrono::seconds later = 1h) {
    std::vector<std::string> names;
    while (const auto next = book.take(now, as_holder)) {
      names.push_back(next->name);
      book.schedule(*next, now + later);
    }
    return names;
  }
  using Names = std::vector<std::string>;

  EventBook::Time now{1000h};
  EventBook book{{.of_object = {3, 60s}, .of_all = {5, 10s}}};
};

TEST_F(EventBookTest, WritesEachOnce) {
  book.set(EventScope::Cluster, {problem("a"), problem("b")}, now);
  EXPECT_EQ(book.pending(now, true), 2U);
  EXPECT_EQ(written(), (Names{"a", "b"}));
  EXPECT_EQ(book.pending(now, true), 0U);
  book.set(EventScope::Cluster, {problem("a"), problem("b"), problem("c")}, now);
  EXPECT_EQ(written(), Names{"c"});
}

TEST_F(EventBookTest, WritesAgainWhatLasts) {
  book.set(EventScope::Cluster, {problem("a")}, now);
  EXPECT_EQ(written(), Names{"a"});
  EXPECT_EQ(book.next(true), now + 1h);
  now += 1h;
  EXPECT_EQ(written(), Names{"a"});
}

TEST_F(EventBookTest, ForgetsWhatIsSolved) {
  book.set(EventScope::Cluster, {problem("a")}, now);
  book.set(EventScope::Cluster, {}, now);
  EXPECT_FALSE(book.has_any(EventScope::Cluster));
  EXPECT_EQ(written(), Names{});
  EXPECT_EQ(book.next(true), std::nullopt);
  book.schedule(problem("a"), now);
  EXPECT_EQ(written(), Names{});
}

TEST_F(EventBookTest, WritesThoseOfTheClusterAsHolderOnly) {
  book.set(EventScope::Cluster, {problem("a")}, now);
  book.set(EventScope::OwnNode, {problem("n1")}, now + 5s);
  EXPECT_EQ(book.next(true), now);
  EXPECT_EQ(book.next(false), now + 5s);
  EXPECT_EQ(written(false), Names{});
  now += 5s;
  EXPECT_EQ(book.pending(now, false), 1U);
  EXPECT_EQ(written(false), Names{"n1"});
  EXPECT_EQ(written(true), Names{"a"});
}

/// A scope's list says nothing about the other's.
TEST_F(EventBookTest, KeepsScopesApart) {
  book.set(EventScope::Cluster, {problem("a")}, now);
  book.set(EventScope::OwnNode, {problem("n1")}, now);
  EXPECT_EQ(written(), (Names{"a", "n1"}));
  book.set(EventScope::OwnNode, {}, now);
  book.set(EventScope::Cluster, {problem("a")}, now);
  EXPECT_EQ(written(), Names{});
  EXPECT_TRUE(book.has_any(EventScope::Cluster));
  EXPECT_FALSE(book.has_any(EventScope::OwnNode));
}

/// One that comes and goes is not written each time.
TEST_F(EventBookTest, BoundsThoseOfOneObject) {
  const auto comes_and_goes = [&] {
    book.set(EventScope::Cluster, {problem("a")}, now);
    const auto names = written();
    book.set(EventScope::Cluster, {}, now);
    return names.size();
  };
  EXPECT_EQ(comes_and_goes() + comes_and_goes() + comes_and_goes(), 3U);
  EXPECT_EQ(comes_and_goes(), 0U);
  book.set(EventScope::Cluster, {problem("a"), problem("b")}, now);
  EXPECT_EQ(written(), Names{"b"}) << "another object is none of its business";
  EXPECT_EQ(book.pending(now, true), 1U);
  EXPECT_EQ(book.next(true), now + 60s);
  now += 60s;
  EXPECT_EQ(written(), Names{"a"});
}

TEST_F(EventBookTest, BoundsAllTogetherAndBeginsWithTheLongestDue) {
  std::vector<core::Problem> problems;
  for (int i = 0; i < 9; ++i) problems.push_back(problem(fmt::format("p{}", i)));
  book.set(EventScope::Cluster, {problems.begin() + 2, problems.end()}, now - 1s);
  book.set(EventScope::OwnNode, {problems.begin(), problems.begin() + 2}, now);
  EXPECT_EQ(written(), (Names{"p2", "p3", "p4", "p5", "p6"}));
  EXPECT_EQ(book.pending(now, true), 4U);
  EXPECT_EQ(book.next(true), now + 10s);
  now += 10s;
  EXPECT_EQ(written(), Names{"p7"});
  now += 1h;
  EXPECT_EQ(written(true, 2h).size(), 5U) << "no more than the burst, however long it was idle";
}

}  // namespace
}  // namespace topolb::kube
