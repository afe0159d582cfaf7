// SPDX-License-Identifier: Apache-2.0
#include "dataplane/allocator.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace topolb::dataplane {
namespace {

TEST(RunAllocator, NeverHandsOutIdZero) {
  RunAllocator ids(4);
  EXPECT_EQ(ids.allocate(), 1U);
  EXPECT_EQ(ids.allocate(), 2U);
  EXPECT_EQ(ids.allocate(), 3U);
  EXPECT_EQ(ids.allocate(), std::nullopt);
  EXPECT_EQ(ids.in_use(), 3U);
}

TEST(RunAllocator, HasNothingForNoCapacity) {
  EXPECT_EQ(RunAllocator(0).allocate(), std::nullopt);
  EXPECT_EQ(RunAllocator(1).allocate(), std::nullopt);
}

TEST(RunAllocator, RetiredRunsComeBackOnlyAfterReclaim) {
  RunAllocator ids(11);
  ASSERT_EQ(ids.allocate(10), 1U);
  ids.retire(1, 10);
  EXPECT_EQ(ids.in_use(), 0U);
  EXPECT_EQ(ids.allocate(1), std::nullopt);
  ids.reclaim();
  EXPECT_TRUE(ids.retired().empty());
  EXPECT_EQ(ids.allocate(10), 1U);
}

TEST(RunAllocator, NeighboursGrowTogetherInAnyOrder) {
  RunAllocator ids(10);
  const auto a = ids.allocate(3);
  const auto b = ids.allocate(3);
  const auto c = ids.allocate(3);
  ASSERT_TRUE(a && b && c);
  ids.retire(*a, 3);
  ids.retire(*c, 3);
  ids.retire(*b, 3);
  ids.reclaim();
  EXPECT_EQ(ids.allocate(9), 1U);
}

TEST(RunAllocator, TellsWhatItHadNoPieceFor) {
  RunAllocator ids(7);
  for (const std::uint32_t first : {1, 3, 5}) ASSERT_EQ(ids.allocate(2), first);
  ids.retire(1, 2);
  ids.retire(5, 2);
  ids.reclaim();
  EXPECT_EQ(ids.allocate(2), 1U);
  EXPECT_EQ(ids.refused(), 0U);
  ids.retire(1, 2);
  ids.reclaim();
  EXPECT_EQ(ids.allocate(3), std::nullopt) << "four are free";
  EXPECT_EQ(ids.allocate(4), std::nullopt);
  EXPECT_EQ(ids.refused(), 4U);
  ids.reclaim();
  EXPECT_EQ(ids.refused(), 0U);
}

TEST(RunAllocator, AllocatesNearAnId) {
  struct Case {
    std::uint32_t capacity;
    std::vector<std::uint32_t> taken;
    std::uint32_t id;
    std::optional<std::uint32_t> expected;
  };
  const std::vector<Case> cases{
      {100, {}, 7, 7},
      {100, {7, 8}, 7, 9},        // the next one up
      {66, {61, 62, 63}, 61, 1},  // in the same 64 rather than in the next
      {1000, {}, 0, 1},           // never handed out
      {100, {}, 100, 64},         // beyond the last
      {100, {}, 0xffffffff, 64},
      {128, {}, 128, 64},
      {3, {1}, 1, 2},
      {3, {1, 2}, 1, std::nullopt},
      {1, {}, 1, std::nullopt},
      {0, {}, 5, std::nullopt},
  };
  for (const auto& [capacity, taken, id, expected] : cases) {
    RunAllocator ids(capacity);
    for (const auto one : taken) ASSERT_TRUE(ids.take(one));
    EXPECT_EQ(ids.allocate_near(id), expected) << capacity << " " << id;
    EXPECT_EQ(ids.in_use(), taken.size() + (expected ? 1 : 0));
    EXPECT_FALSE(expected && ids.is_free(*expected));
  }
}

TEST(RunAllocator, LooksFarWhereAllNearIsTaken) {
  RunAllocator ids(1000);
  ASSERT_TRUE(ids.take(1, 999));
  ids.retire(900);
  ids.reclaim();
  EXPECT_EQ(ids.allocate_near(5), 900U);
  ids.retire(3);
  ids.reclaim();
  EXPECT_EQ(ids.allocate_near(999), 3U);
  EXPECT_EQ(ids.allocate_near(500), std::nullopt);
}

TEST(RunAllocator, TakesWhatIsFreeOnly) {
  RunAllocator ids(100);
  EXPECT_TRUE(ids.take(10, 5));
  EXPECT_FALSE(ids.take(12, 1));
  EXPECT_FALSE(ids.take(8, 4));
  EXPECT_FALSE(ids.take(98, 5));
  EXPECT_FALSE(ids.take(0, 1));
  EXPECT_EQ(ids.allocate(9), 1U);    // before
  EXPECT_EQ(ids.allocate(80), 15U);  // after
}

// How far away, in `taken` by id.
std::optional<std::uint32_t> nearest_free(const std::vector<bool>& taken, std::uint32_t id) {
  for (std::uint32_t away = 0; away < taken.size(); ++away) {
    const auto up = id + away;
    if (up > 0 && up < taken.size() && !taken[up]) return away;
    if (id > away && !taken[id - away]) return away;
  }
  return std::nullopt;
}

// Against a plain array of "who has this id".
TEST(RunAllocator, NeverHandsOutTwiceAndLosesNothing) {
  std::mt19937 random(1);
  constexpr std::uint32_t kCapacity = 500;
  RunAllocator ids(kCapacity);
  std::vector<bool> taken(kCapacity);
  std::map<std::uint32_t, std::uint32_t> live;
  for (int step = 0; step < 20'000; ++step) {
    if (random() % 2 == 0) {
      const std::uint32_t length = random() % 3 == 0 ? 1 : 1 + random() % 12;
      const auto wanted = static_cast<std::uint32_t>(random() % kCapacity);
      const auto first = length == 1 ? ids.allocate_near(wanted) : ids.allocate(length);
      if (length == 1) {
        const auto away = nearest_free(taken, wanted);
        ASSERT_EQ(first.has_value(), away.has_value());
        if (first) {
          ASSERT_LT(std::max(*first, wanted) - std::min(*first, wanted), *away + 128);
        }
      }
      if (first) {
        for (auto id = *first; id < *first + length; ++id) {
          ASSERT_FALSE(taken.at(id));
          taken[id] = true;
        }
        live[*first] = length;
      }
    } else if (!live.empty()) {
      const auto victim = std::next(live.begin(), static_cast<long>(random() % live.size()));
      for (auto id = victim->first; id < victim->first + victim->second; ++id) taken[id] = false;
      ids.retire(victim->first, victim->second);
      live.erase(victim);
      ids.reclaim();
    }
  }
  for (const auto& [first, length] : live) ids.retire(first, length);
  ids.reclaim();
  EXPECT_EQ(ids.in_use(), 0U);
  EXPECT_EQ(ids.allocate(kCapacity - 1), 1U);
}

}  // namespace
}  // namespace topolb::dataplane
