// SPDX-License-Identifier: Apache-2.0
// How large the maps are made for a plan. Source: docs/decisions/0043.
#include "dataplane/map_sizes.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
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
  EXPECT_EQ(sizes.slot_lines, 0U) << "the set has room for 10";
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
  const auto sizes = needed_by(
      web(traffic({{"a", backends(10)}, {"b", {}}, {"c", backends(5)}, {"d", backends(20)}})));
  EXPECT_EQ(sizes.sets, 3U);
  EXPECT_EQ(sizes.counters, 6U);
  EXPECT_GE(sizes.slot_lines, 2 + 100 * 2) << "a tier of two lines may change often";
}

// A tier is a set; a quarter of what they would take if pods of every Service terminated is there.
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
  EXPECT_EQ(sets_of(8, small, small), 8U + 2U);
  for (const int count : {0, 1, 4}) {
    EXPECT_EQ(sets_of(count, terminating, ready), 16U + 4U) << count << " of 8 have them";
  }
  EXPECT_EQ(sets_of(5, terminating, ready), 16U + 5U);
  EXPECT_EQ(sets_of(8, terminating, ready), 16U + 8U);
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

using Numbered = std::function<void(std::uint32_t, topolb_frontend&)>;

// As FrontendTable places them: how many lines a search of the worst placed frontend reads.
std::uint32_t longest_search(std::uint32_t frontends, std::uint64_t seed, const Numbered& number) {
  const auto lines = frontend_lines_for(frontends);
  std::vector<std::uint32_t> taken(lines + frontends);
  std::uint32_t longest = 0;
  for (std::uint32_t i = 0; i < frontends; ++i) {
    topolb_frontend frontend{};
    frontend.protocol = 6;
    number(i, frontend);
    const auto home = topolb_first_line(&frontend, seed, frontends_for(lines));
    auto line = home;
    while (taken[line] == TOPOLB_FRONTENDS_PER_LINE) ++line;
    ++taken[line];
    longest = std::max(longest, line - home + 1);
  }
  return longest;
}

void write_number(std::uint32_t number, std::uint8_t* last_byte) {
  for (int i = 0; i < 4; ++i) *(last_byte - i) = static_cast<std::uint8_t>(number >> 8 * i);
}

topolb_address ipv4_from(std::uint32_t number) {
  topolb_address address{};
  address.bytes[10] = address.bytes[11] = 0xff;
  write_number(number, &address.bytes[15]);
  return address;
}

// A hash of addresses as API servers give them is to be as good as chance: of random places, a
// search of more than 24 lines takes one table in a hundred of this size, and each line more makes
// it rarer by a third.
TEST(MapSizes, EveryFrontendFindsARowWithAnySeed) {
  const std::map<std::string, Numbered> patterns{
      {"one after the other",
       [](auto i, auto& frontend) { frontend.address = ipv4_from(0xc6120000 + i); }},
      {"eight ports each",
       [](auto i, auto& frontend) {
         frontend.address = ipv4_from(0x0a600000 + i / 8);
         frontend.port_be = htons(static_cast<std::uint16_t>(80 + i % 8));
       }},
      {"a subnet each",
       [](auto i, auto& frontend) { frontend.address = ipv4_from(0x0a000001 + (i << 8U)); }},
      {"IPv6",
       [](auto i, auto& frontend) {
         frontend.address.bytes[0] = 0xfd;
         write_number(i, &frontend.address.bytes[15]);
       }},
      {"IPv6 subnets", [](auto i, auto& frontend) {
         frontend.address.bytes[0] = 0x20;
         write_number(i, &frontend.address.bytes[7]);
       }}};
  std::mt19937_64 random(1);
  for (int table = 0; table < 50; ++table) {
    const auto seed = random();
    for (const auto& [name, number] : patterns) {
      EXPECT_LE(longest_search(100'000, seed, number), std::uint32_t{TOPOLB_FRONTEND_PROBES} / 2)
          << name << ", seed " << seed;
    }
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
