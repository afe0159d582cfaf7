// SPDX-License-Identifier: Apache-2.0
// What earlier plans found out about where endpoints are (docs/decisions/0058): whatever changes,
// plans are what they would be without it.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "cluster_text.h"
#include "core/cluster_state.h"
#include "core/placement_facts.h"

namespace topolb::core {
namespace {

using test::internal_of;
using test::node;
using test::on_n1;
using test::service;
using test::slice;

// Numbers of placements are used again.
TEST(KnownPlacements, AnotherOneInTheSamePlace) {
  ClusterState state = on_n1();
  state.put(node("n1: rack=a"));
  state.put(node("n2: rack=b"));
  state.put(service("web", "10.96.0.1", "rack,*"));
  for (const auto& [endpoint, planned] :
       {std::pair{"1@n2", "forward *: 1"}, std::pair{"1@n1", "forward rack: 1"},
        std::pair{"1", "forward *: 1"}}) {
    state.put(slice("web", {endpoint}));
    state.replan();
    EXPECT_EQ(internal_of(state, "web"), planned);
    EXPECT_EQ(state.plan()[0].local_backends.size(), endpoint == std::string("1@n1") ? 1U : 0U);
    EXPECT_EQ(state.plan()[0].nodeless_backends.size(), endpoint == std::string("1") ? 1U : 0U);
    state.put(slice("web", {}));  // nobody is there any more
    state.replan();
  }
}

// Also while no Service has keys.
TEST(KnownPlacements, NodesThatChangeWhileNobodyAsks) {
  ClusterState state = on_n1();
  const auto ask = [&](const char* keys, const char* planned) {
    state.put(service("web", "10.96.0.1", keys));
    state.replan();
    EXPECT_EQ(internal_of(state, "web"), planned);
  };
  state.put(node("n1: rack=a"));
  state.put(node("n2: rack=a"));
  state.put(slice("web", {"1@n2"}));
  ask("rack,*", "forward rack: 1");
  ask("", "forward: 1");
  state.put(node("n2: rack=b"));
  state.replan();
  ask("rack,*", "forward *: 1");
  ask("", "forward: 1");
  state.put(node("n1: rack=b"));
  state.replan();
  ask("rack,*", "forward rack: 1");
}

// All at once: a number that is another placement's, and a Node that changes.
TEST(KnownPlacements, AnotherOneInTheSamePlaceAtOnce) {
  ClusterState state = on_n1();
  state.put(node("n1: rack=a"));
  state.put(node("n2: rack=b"));
  state.put(node("n3: rack=b"));
  state.put(service("web", "10.96.0.1", "rack,*"));
  state.put(slice("web", {"1@n2"}));
  state.replan();
  EXPECT_EQ(internal_of(state, "web"), "forward *: 1");
  state.put(slice("web", {}));
  state.put(slice("web", {"1@n3"}));
  state.put(node("n3: rack=a"));
  state.replan();
  EXPECT_EQ(internal_of(state, "web"), "forward rack: 1");
}

TEST(PlacementFacts, KeepFewLists) {
  PlacementFacts facts;
  for (std::size_t i = 0; i < PlacementFacts::kKeptLists; ++i) {
    facts.masks_of({std::to_string(i)}) = {1};
  }
  facts.trim();
  EXPECT_EQ(facts.masks_of({"0"}), KeyMasks{1});
  facts.masks_of({"one more"}) = {1};
  facts.trim();
  EXPECT_EQ(facts.masks_of({"0"}), KeyMasks{});
}

// Of more lists of keys than are remembered.
TEST(KnownPlacements, OfManyListsOfKeys) {
  ClusterState state = on_n1();
  state.put(node("n1: rack=a"));
  state.put(node("n2: rack=a"));
  constexpr int kServices = 40;
  const auto name_of = [](int i) { return fmt::format("s{}", i); };
  for (int i = 0; i < kServices; ++i) {
    state.put(service(name_of(i), fmt::format("10.96.0.{}", i + 1), fmt::format("k{},rack", i)));
    state.put(slice(name_of(i), {"1@n2", "2@n3"}));
  }
  state.replan();
  const auto expect_all = [&](const std::string& planned) {
    for (int i = 0; i < kServices; ++i) EXPECT_EQ(internal_of(state, name_of(i)), planned);
  };
  expect_all("forward rack: 1");
  for (int i = 0; i < kServices; ++i) {  // one by one
    state.put(slice(name_of(i), {"1@n2", "2@n3", "3@n2"}));
    state.replan();
  }
  expect_all("forward rack: 1 3");
  state.put(node("n3: rack=a"));
  state.put(node("n2: rack=b"));
  state.replan();
  expect_all("forward rack: 2");
}

}  // namespace
}  // namespace topolb::core
