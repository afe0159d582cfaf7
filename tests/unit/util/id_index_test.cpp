// SPDX-License-Identifier: Apache-2.0
#include "util/id_index.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace topolb {
namespace {

TEST(IdIndex, FindsWhatIsThere) {
  const std::vector<std::string> things{"zero", "one", "two"};
  const auto find = [&](const IdIndex& index, const std::string& text) {
    return index.find(std::hash<std::string>{}(text),
                      [&](std::uint32_t id) { return things[id] == text; });
  };
  IdIndex index;
  EXPECT_EQ(find(index, "zero"), std::nullopt);
  for (const std::uint32_t id : {0U, 1U, 2U}) {
    index.insert(std::hash<std::string>{}(things[id]), id);
  }
  EXPECT_EQ(find(index, "zero"), 0U);
  EXPECT_EQ(find(index, "two"), 2U);
  EXPECT_EQ(find(index, "three"), std::nullopt);
  index.erase(std::hash<std::string>{}("zero"), 0);
  EXPECT_EQ(find(index, "zero"), std::nullopt);
  EXPECT_EQ(find(index, "one"), 1U);
}

TEST(IdIndex, TellsEqualHashesApart) {
  IdIndex index;
  for (std::uint32_t id = 0; id < 100; ++id) index.insert(0, id);
  for (std::uint32_t id = 0; id < 100; id += 2) index.erase(0, id);
  for (std::uint32_t id = 0; id < 100; ++id) {
    const auto found = index.find(0, [id](std::uint32_t other) { return other == id; });
    EXPECT_EQ(found.has_value(), id % 2 == 1) << id;
  }
}

// At most one of its first buckets is empty.
TEST(IdIndex, FindsAllWhenItIsNearlyFull) {
  for (std::uint32_t seed = 0; seed < 200; ++seed) {
    IdIndex index;
    std::vector<std::uint32_t> ids;
    std::mt19937 random(seed);
    const auto hash_of = [&](std::uint32_t id) { return (id + seed) * 7919U; };
    for (std::uint32_t id = 0; id < 100; ++id) {
      if (ids.size() == 6) {
        const auto victim = ids.begin() + random() % 6;
        index.erase(hash_of(*victim), *victim);
        ids.erase(victim);
      }
      index.insert(hash_of(id), id);
      ids.push_back(id);
      for (const auto known : ids) {
        ASSERT_EQ(index.find(hash_of(known), [&](auto other) { return other == known; }), known);
      }
    }
  }
}

// Few hashes, so that runs of used buckets meet, wrap around and have holes made in them.
TEST(IdIndex, HoldsWhatAMapHolds) {
  for (const std::uint32_t hashes : {3U, 20U, 300U, 100'000U}) {
    IdIndex index;
    std::map<std::uint32_t, std::uint32_t> hash_of;  // by id
    std::mt19937 random(hashes);
    for (int step = 0; step < 20'000; ++step) {
      const std::uint32_t id = random() % 500;
      if (const auto known = hash_of.find(id); known != hash_of.end()) {
        index.erase(known->second, id);
        hash_of.erase(known);
      } else {
        hash_of[id] = random() % hashes;
        index.insert(hash_of[id], id);
      }
      const std::uint32_t asked = random() % 500;
      const auto known = hash_of.find(asked);
      const std::uint32_t hash = known != hash_of.end() ? known->second : random() % hashes;
      const auto found = index.find(hash, [&](std::uint32_t other) { return other == asked; });
      ASSERT_EQ(found.has_value(), known != hash_of.end()) << "step " << step;
    }
  }
}

}  // namespace
}  // namespace topolb
