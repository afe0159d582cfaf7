// SPDX-License-Identifier: Apache-2.0
// The maps get larger while everything goes on. Source: docs/decisions/0043.
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "support/growth_fixture.h"

namespace topolb::test {
namespace {

TEST_F(Growth, NothingIsLostUnderAStorm) {
  start_small(web());
  const auto small = entries_of_pins();
  const Connection established(kFrontend, Protocol::TCP);
  const ConnectedUdp connected(kFrontend);
  UdpClient unconnected(Family::IPv4);
  ASSERT_EQ(unconnected.ask(kFrontend).peer, kFrontend);
  set_state(kTwo, TOPOLB_BACKEND_UNUSABLE);
  ASSERT_EQ(dial_tcp(kFrontend).backend, kOne);

  std::atomic<bool> done{false};
  std::atomic<std::uint64_t> dialled{2};
  std::atomic<int> failed{0};
  std::thread client([&] {
    while (!done) {
      const auto seen = dial_tcp(kFrontend);
      ++dialled;
      if (seen.backend != kOne || seen.peer != kFrontend) ++failed;
    }
  });
  for (const int others : {300, 1000, 3000}) {
    ASSERT_TRUE(grow_to(web_and(others))) << others;
    EXPECT_TRUE(publisher_->problems().empty());
    const int last = (others - 1) / 20 * 20;  // that has kOne alone
    EXPECT_EQ(dial_tcp(fmt::format("10.97.{}.{}:80", last / 250, last % 250)).backend, kOne);
  }
  done = true;
  client.join();
  EXPECT_EQ(failed, 0) << "of " << dialled << ": neither refused, nor to another backend";
  EXPECT_EQ(established.peer(), kFrontend);
  EXPECT_EQ(connected.ask(), kOne);
  EXPECT_EQ(unconnected.ask(kFrontend).peer, kFrontend);
  const auto state = maps().backends.rows();
  EXPECT_EQ(std::count_if(state.begin(), state.end(),
                          [](const auto& row) { return row.state == TOPOLB_BACKEND_UNUSABLE; }),
            1)
      << "what somebody has flipped stays flipped";
  EXPECT_EQ(connections("web"), dialled) << "all are counted";
  for (const auto& [name, entries] : entries_of_pins()) EXPECT_GE(entries, small.at(name)) << name;
  EXPECT_GE(entries_of_pins().at("sets"), 3000U) << "who opens the pins sees the new maps";
}

TEST_F(Growth, IdsStayAndTheNextAgentTakesTheLargerMapsOver) {
  start_small(web());
  const auto before = dataplane::read_kernel_state(maps()).services.at(0);
  ASSERT_TRUE(grow_to(web_and(500)));
  EXPECT_FALSE(grow_to(web_and(500))) << "there is room";
  const auto after = dataplane::read_kernel_state(maps());
  stop();
  start_small(web_and(500));
  EXPECT_TRUE(datapath_->took_over());
  const auto taken = dataplane::read_kernel_state(maps());
  for (const auto& state : {after, taken}) {
    ASSERT_EQ(state.services.size(), 502U);
    const auto web = std::find_if(state.services.begin(), state.services.end(),
                                  [&](const auto& one) { return one.key == before.key; });
    ASSERT_NE(web, state.services.end());
    EXPECT_EQ(web->id, before.id);
    ASSERT_EQ(web->internal.tiers.size(), 1U);
    EXPECT_EQ(web->internal.tiers[0].backend_ids, before.internal.tiers[0].backend_ids);
  }
}

// Sets move to where they are looked for; backends stay, and are right again once they are others.
TEST_F(Growth, GuessesAreRightAgain) {
  start_small(apart(2000, 8));
  for (const int room : {3000, 6000}) {
    ASSERT_TRUE(
        prepare_to_grow_to(apart(2000, 8), dataplane::sizes_needed(core::share(apart(room, 8)))));
    ASSERT_TRUE(switch_over());
    EXPECT_GE(right_guesses().sets, 0.95) << room;
  }
  auto plan = apart(6000, 8);
  ASSERT_FALSE(grow_to(plan));
  change_to(plan);
  EXPECT_GE(right_guesses().sets, 0.95);
  const auto next = apart(6000, 9);
  constexpr std::ptrdiff_t kAtATime = 250;
  for (std::ptrdiff_t at = 0; at < std::ssize(next); at += kAtATime) {
    std::copy_n(next.begin() + at, kAtATime, plan.begin() + at);
    change_to(plan);
    publisher_->reclaim();
  }
  EXPECT_GE(right_guesses().sets, 0.95);
  EXPECT_GE(right_guesses().backends, 0.65);
  stop();
  start_small(plan);
  EXPECT_TRUE(datapath_->took_over());
  EXPECT_GE(right_guesses().sets, 0.95);
}

TEST_F(Growth, AnAgentThatFindsMapsTooSmallMakesThemLargerInPassing) {
  start_small(web());
  const auto backend = dial_tcp(kFrontend).backend;
  stop();
  start_small(web_and(500));
  EXPECT_TRUE(datapath_->took_over());
  EXPECT_EQ(connections("web"), 1U);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(dial_tcp(kFrontend).backend, backend) << "affinity";
}

TEST_F(Growth, TheFirstServiceWithAffinityMakesRoomForIt) {
  auto plan = web();
  plan[0].affinity_timeout_s = 0;
  start_small(plan);
  EXPECT_LT(maps().affinities.capacity(), 100U);
  EXPECT_FALSE(publisher_->is_short_of_room({}));
  change_to(web());
  EXPECT_TRUE(publisher_->is_short_of_room({}));
  ASSERT_TRUE(grow_to(web()));
  EXPECT_EQ(maps().affinities.capacity(), dataplane::MapSizes().affinities);
  EXPECT_FALSE(publisher_->is_short_of_room({}));
}

TEST_F(Growth, AffinitiesOfTheMomentStay) {
  std::vector<core::ServicePortPlan> plan;
  for (int i = 0; i < 16; ++i) {
    plan.push_back(service(fmt::format("sticky{:02}", i), fmt::format("10.98.0.{}:80", i),
                           Protocol::TCP, traffic({{"", {kOne, kTwo}}})));
    plan.back().affinity_timeout_s = 10800;
  }
  start_small(plan);
  auto larger = web_and(300);
  larger.insert(larger.end(), plan.begin(), plan.end());
  std::sort(larger.begin(), larger.end(),
            [](const auto& a, const auto& b) { return a.key < b.key; });
  ASSERT_TRUE(prepare_to_grow_to(larger));
  const auto dial_all = [] {
    std::vector<std::string> backends;
    for (int i = 0; i < 16; ++i) {
      backends.push_back(dial_tcp(fmt::format("10.98.0.{}:80", i)).backend);
    }
    return backends;
  };
  const auto before = dial_all();
  ASSERT_TRUE(datapath_->attach());
  datapath_->drop_replaced_maps();
  EXPECT_EQ(dial_all(), before);
}

// Every second Service gets a key: what they give up are pieces of two counters, they need three.
TEST_F(Growth, FreeRowsInPiecesTooSmallAreNoRoom) {
  auto plan = web_and(3000);
  start_small(plan);
  for (const std::size_t last : {std::size_t{200}, plan.size()}) {
    for (std::size_t i = 0; i < last; i += 2) {
      plan[i].internal.tiers[0].key = "zone";
      plan[i].internal.has_keys = true;
    }
    change_to(plan);
    EXPECT_TRUE(publisher_->is_short_of_room({}));
    EXPECT_TRUE(grow_to(plan)) << last;
    EXPECT_EQ(publisher_->problems().size(), 0U) << last;
  }
}

TEST_F(Growth, ALimitIsTheLimit) {
  dataplane::MapSizes limits;
  limits.services = 250;
  start_small(web(), limits);
  ASSERT_TRUE(grow_to(web_and(300)));
  EXPECT_EQ(entries_of_pins().at("service_names"), 250U);
  EXPECT_EQ(publisher_->problems().size(), 2 * (302U - 249U))
      << "a set and a frontend each; id 0 is nobody's";
  EXPECT_EQ(publisher_->problems().front().reason, "MapFull");
  EXPECT_FALSE(grow_to(web_and(300)));
  EXPECT_FALSE(dial_tcp(kFrontend).backend.empty());
}

TEST_F(Growth, AnotherLimitOfSourceRangesCounts) {
  auto plan = web();
  for (const char* range : {"192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"}) {
    plan[0].source_ranges.push_back(*IpPrefix::parse(range));
  }
  dataplane::MapSizes limits;
  for (const std::uint32_t most : {2, 3, 100}) {
    limits.source_ranges = most;
    start_small(plan, limits);
    EXPECT_EQ(publisher_->problems().size(), most < 3 ? 2U : 0U) << most;
    EXPECT_EQ(maps().source_ranges.entries().size(), most < 3 ? 0U : 3U);
    EXPECT_EQ(maps().source_ranges.capacity(), most);
    stop();
  }
  EXPECT_FALSE(dial_tcp(kFrontend).backend.empty());
}

TEST_F(Growth, WhatCannotBePinnedLeavesTheMapsBefore) {
  start_small(web());
  const auto entries = entries_of_pins();
  ASSERT_TRUE(prepare_to_grow_to(web_and(500)));
  const auto obstacle = sandbox_.pin_path() + "/sets-new";
  ASSERT_EQ(::mkdir(obstacle.c_str(), 0700), 0);
  EXPECT_FALSE(datapath_->attach());
  EXPECT_EQ(entries_of_pins(), entries) << "all or none";
  ASSERT_EQ(::rmdir(obstacle.c_str()), 0);
  EXPECT_TRUE(datapath_->attach());
  EXPECT_GE(entries_of_pins().at("slots"), entries.at("slots"));
  EXPECT_GE(entries_of_pins().at("sets"), 500U);
}

TEST_F(Growth, WhatFailsLeavesTheLastGoodState) {
  start_small(web());
  const auto entries = entries_of_pins();
  rlimit allowed{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &allowed), 0);
  const auto open = std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
  const rlimit few{.rlim_cur = static_cast<rlim_t>(open) + 4, .rlim_max = allowed.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  const auto made = datapath_->make_room(dataplane::sizes_needed(core::share(web_and(500))));
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &allowed), 0);
  ASSERT_FALSE(made);
  EXPECT_NE(made.error().message().find("Too many open files"), std::string::npos)
      << made.error().message();
  EXPECT_EQ(entries_of_pins(), entries);
  EXPECT_FALSE(dial_tcp(kFrontend).backend.empty());
  auto plan = web();
  plan[0].internal = traffic({{"", {kTwo}}});
  change_to(plan);
  EXPECT_EQ(dial_tcp(kFrontend).backend, kTwo) << "changes still arrive";
  ASSERT_TRUE(grow_to(web_and(500))) << "the next try";
}

}  // namespace
}  // namespace topolb::test
