// SPDX-License-Identifier: Apache-2.0
// How large the maps are made for a plan. Source: docs/decisions/0043.
#include "dataplane/map_sizes.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "core/plan.h"
#include "dataplane/frontend_table.h"
#include "maps/layout.h"

namespace topolb::dataplane {
namespace {

std::vector<SocketAddress> backends(int count, int from = 0) {
  std::vector<SocketAddress> all;
  for (int i = from; i < from + count; ++i) {
    all.push_back(
        {*IpAddress::parse(fmt::format("10.{}.{}.{}", i >> 16, i >> 8 & 255, i & 255)), 8080});
  }
  return all;
}

core::TrafficPlan traffic(std::vector<core::Tier> tiers) {
  core::TrafficPlan plan{.verdict = core::Verdict::Forward, .tiers = std::move(tiers)};
  plan.has_keys = plan.tiers.size() > 1;
  return plan;
}

core::ServicePortPlan web(core::TrafficPlan internal) {
  core::ServicePortPlan port;
  port.key = {.service = {"default", "web"}, .port = 80};
  port.port_name = "http";
  port.frontends = {{.kind = core::FrontendKind::ClusterIP,
                     .address = *IpAddress::parse("10.96.0.1"),
                     .port = 80}};
  port.internal = std::move(internal);
  return port;
}

// What a plan takes beyond none at all.
MapSizes needed_by(const core::ServicePortPlan& port) {
  const auto none = sizes_needed({});
  auto sizes = sizes_needed(core::share({port}));
  sizes.frontends -= none.frontends;
  sizes.services -= none.services;
  sizes.sets -= none.sets;
  sizes.slot_lines -= none.slot_lines;
  sizes.backends -= none.backends;
  sizes.counters -= none.counters;
  return sizes;
}

TEST(MapSizes, OfASmallService) {
  const auto sizes = needed_by(web(traffic({{"", backends(10)}})));
  EXPECT_EQ(sizes.frontends, 1U);
  EXPECT_EQ(sizes.services, 1U);
  EXPECT_EQ(sizes.sets, 1U);
  EXPECT_EQ(sizes.slot_lines, 0U) << "the set has room for 14";
  EXPECT_EQ(sizes.backends, 10U);
  EXPECT_EQ(sizes.counters, 2U);
}

TEST(MapSizes, EqualTrafficSharesASetAndBackendsCountOnce) {
  auto port = web(traffic({{"", backends(10)}}));
  port.external = port.internal;
  port.node_external = traffic({{"", backends(12)}});
  port.idle_backends = backends(5, 10);
  const auto sizes = needed_by(port);
  EXPECT_EQ(sizes.sets, 2U);
  EXPECT_EQ(sizes.backends, 15U) << "12 of which 10 are shared, and 3 idle ones";
}

TEST(MapSizes, TiersTakeSetsLinesAndCounters) {
  const auto sizes = needed_by(web(traffic({{"a", backends(10)},
                                            {"b", {}},
                                            {"c", backends(5)},       // no room beside a
                                            {"d", backends(20)}})));  // in a set of its own
  EXPECT_EQ(sizes.sets, 2U);
  EXPECT_EQ(sizes.counters, 6U);
  EXPECT_GE(sizes.slot_lines, 1 + 2 + 100 * 2) << "a tier of two lines may change often";
}

// Two tiers fill a set; terminating pods need another one.
TEST(MapSizes, RoomForTiersOfTerminatingPods) {
  const auto ready = traffic({{"a", backends(3)}, {"b", backends(5)}});
  auto terminating = ready;
  terminating.terminating_tiers = {{"b", backends(1)}};
  const auto sets_of = [](int count, const core::TrafficPlan& first,
                          const core::TrafficPlan& rest) {
    std::vector<core::ServicePortPlan> eight(8, web(rest));
    for (int i = 0; i < count; ++i) eight[static_cast<std::size_t>(i)] = web(first);
    return sizes_needed(core::share(eight)).sets - sizes_needed({}).sets;
  };
  const auto small = traffic({{"", backends(5)}});
  EXPECT_EQ(sets_of(8, small, small), 8U) << "there is room for another tier";
  for (const int count : {0, 1, 2}) {
    EXPECT_EQ(sets_of(count, terminating, ready), 8U + 2U) << count << " of 8 have them";
  }
  EXPECT_EQ(sets_of(3, terminating, ready), 8U + 3U);
  EXPECT_EQ(sets_of(8, terminating, ready), 16U);
}

TEST(MapSizes, AffinitiesOnlyWhereSomeServiceHasIt) {
  auto port = web(traffic({{"", backends(1)}}));
  EXPECT_LT(sizes_needed(core::share({port})).affinities, 100U);
  port.affinity_timeout_s = 1;
  EXPECT_GE(sizes_needed(core::share({port})).affinities, MapSizes().affinities);
}

TEST(MapSizes, MapsThatAreNotThereAreMadeAsNeeded) {
  auto needed = sizes_needed({});
  const auto made = grown_entries({}, needed, {});
  needed.source_ranges = MapSizes().source_ranges;
  EXPECT_EQ(made, entries_by_map(needed));
}

TEST(MapSizes, MapsThatSufficeStay) {
  const auto needed = sizes_needed({});
  EXPECT_TRUE(grown_entries(entries_by_map(needed), needed, {}).empty());
}

TEST(MapSizes, OneThatIsTooSmallGrowsByHalfMoreThanNeeded) {
  const auto present = entries_by_map(sizes_needed({}));
  auto needed = sizes_needed({});
  needed.backends = 1000;
  const auto grown = grown_entries(present, needed, {});
  EXPECT_EQ(grown.at("backends"), 1500U);
  for (const auto& [name, entries] : grown) {
    if (name == "backends") continue;
    EXPECT_EQ(entries, present.at(name)) << name << " is made anew as it was";
  }
}

// As FrontendTable places them: how many lines a search of the worst placed frontend reads.
std::uint32_t longest_search(std::uint32_t frontends, std::uint64_t seed) {
  const auto lines = frontend_lines_for(frontends);
  std::vector<std::uint32_t> taken(lines + frontends);
  std::uint32_t longest = 0;
  for (std::uint32_t number = 0; number < frontends; ++number) {
    topolb_frontend frontend{};
    std::copy_n(reinterpret_cast<const std::uint8_t*>(&number), sizeof(number),
                &frontend.address.bytes[12]);
    frontend.protocol = 6;
    const auto home = topolb_first_line(&frontend, seed, frontends_for(lines));
    auto line = home;
    while (taken[line] == TOPOLB_FRONTENDS_PER_LINE) ++line;
    ++taken[line];
    longest = std::max(longest, line - home + 1);
  }
  return longest;
}

// Of 16 lines a search of one table in ten of this size was longer, and a frontend not programmed.
TEST(MapSizes, EveryFrontendFindsARowWithAnySeed) {
  std::mt19937_64 random(1);
  for (int table = 0; table < 50; ++table) {
    const auto seed = random();
    EXPECT_LE(longest_search(100'000, seed), std::uint32_t{TOPOLB_FRONTEND_PROBES}) << seed;
  }
}

TEST(MapSizes, TheLimitWins) {
  const auto present = entries_by_map(sizes_needed({}));
  auto needed = sizes_needed({});
  needed.backends = 1000;
  MapSizes limits;
  limits.backends = 1200;
  EXPECT_EQ(grown_entries(present, needed, limits).at("backends"), 1200U);
  limits.backends = present.at("backends");
  EXPECT_TRUE(grown_entries(present, needed, limits).empty()) << "there is nothing to be had";
  limits.backends = 10;
  EXPECT_EQ(grown_entries({}, needed, limits).at("backends"), 10U);
}

}  // namespace
}  // namespace topolb::dataplane
