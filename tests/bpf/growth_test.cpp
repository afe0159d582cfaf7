// SPDX-License-Identifier: Apache-2.0
// The maps get larger while everything goes on. Source: docs/decisions/0043.
#include <bpf/bpf.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "dataplane/map_sizes.h"
#include "dataplane/pins.h"
#include "support/datapath_fixture.h"

namespace topolb::test {
namespace {

constexpr const char* kFrontend = "10.96.0.1:80";
const std::string kOne = "10.1.0.1:80";
const std::string kTwo = "10.1.0.2:80";

class Growth : public DatapathTest {
 protected:
  Growth() : one_(serve(kOne)), two_(serve(kTwo)), dns_(serve(kOne, Protocol::UDP)) {}

  /// With affinity, so that there is something to remember.
  static std::vector<core::ServicePortPlan> web() {
    auto tcp = service("web", kFrontend, Protocol::TCP, traffic({{"", {kOne, kTwo}}}));
    tcp.affinity_timeout_s = 10800;
    return {tcp, service("web", kFrontend, Protocol::UDP, traffic({{"", {kOne}}}))};
  }

  /// web(), and so many others: each has a backend that all share, and some of its own.
  static std::vector<core::ServicePortPlan> web_and(int others) {
    auto plan = web();
    for (int i = 0; i < others; ++i) {
      std::vector<std::string> backends{kOne};
      for (int own = 0; own < i % 20; ++own) {
        backends.push_back(fmt::format("10.7.{}.{}:{}", i / 250, i % 250, 1000 + own));
      }
      plan.push_back(service(fmt::format("other{:05}", i),
                             fmt::format("10.97.{}.{}:80", i / 250, i % 250), Protocol::TCP,
                             traffic({{"", backends}})));
    }
    std::sort(plan.begin(), plan.end(), [](const auto& a, const auto& b) { return a.key < b.key; });
    return plan;
  }

  void start_small(const std::vector<core::ServicePortPlan>& plan,
                   const dataplane::MapSizes& limits = {}) {
    auto options = sandbox_.options();
    options.limits = limits;
    start(plan, options, dataplane::sizes_needed(core::share(plan)));
  }

  /// As the agent does; whether the maps were made anew.
  bool grow_to(const std::vector<core::ServicePortPlan>& plan) {
    if (!prepare_to_grow_to(plan)) return false;
    const auto attached = datapath_->attach();
    EXPECT_TRUE(attached) << attached.error().message();
    datapath_->drop_replaced_maps();
    return true;
  }

  /// As far as programs use the maps before.
  bool prepare_to_grow_to(const std::vector<core::ServicePortPlan>& plan) {
    const auto shared = core::share(plan);
    auto needed = dataplane::sizes_needed(shared);
    publisher_->add_refused(needed);
    const auto made = datapath_->make_room(needed);
    EXPECT_TRUE(made) << made.error().message();
    if (!made || !*made) return false;
    publisher_.emplace(datapath_->maps());
    publisher_->take_over(shared);
    plan_ = plan;
    return true;
  }

  std::uint64_t connections(const std::string& name) {
    for (const auto& kernel : dataplane::read_kernel_state(maps()).services) {
      if (kernel.key.service.name != name || kernel.key.protocol != Protocol::TCP) continue;
      return maps().counters.read(kernel.first_counter, 2)[TOPOLB_COUNTER_WITHOUT_KEY];
    }
    return 0;
  }

  std::map<std::string, std::uint32_t> entries_of_pins() {
    std::map<std::string, std::uint32_t> entries;
    for (const auto& name : dataplane::pinned_map_names()) {
      const auto fd = dataplane::open_pinned(dataplane::pin_of_map(sandbox_.pin_path(), name));
      const auto info = fd ? dataplane::map_info(fd->get(), name) : fd.error();
      if (info) entries[name] = info->max_entries;
    }
    return entries;
  }

 private:
  std::unique_ptr<Server> one_;
  std::unique_ptr<Server> two_;
  std::unique_ptr<Server> dns_;
};

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
    EXPECT_EQ(web->internal.set_ids, before.internal.set_ids);
  }
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

// The name of the pin that is the last of the old ones.
class KilledBetweenPins : public Growth, public testing::WithParamInterface<const char*> {};

TEST_P(KilledBetweenPins, TheNextAgentFindsTheStateWhole) {
  start_small(web_and(300));
  std::map<std::string, UniqueFd> old;
  for (const auto& name : dataplane::pinned_map_names()) {
    auto fd = dataplane::open_pinned(dataplane::pin_of_map(sandbox_.pin_path(), name));
    ASSERT_TRUE(fd);
    old[name] = std::move(*fd);
  }
  ASSERT_TRUE(grow_to(web_and(3000)));
  for (const auto& [name, fd] : old) {
    if (name < GetParam()) continue;
    const auto pin = dataplane::pin_of_map(sandbox_.pin_path(), name);
    ASSERT_EQ(::rename(pin.c_str(), (pin + "-new").c_str()), 0);
    ASSERT_EQ(bpf_obj_pin(fd.get(), pin.c_str()), 0);
  }
  old.clear();
  const auto plan = plan_;
  stop();
  start_small(plan);
  EXPECT_TRUE(publisher_->problems().empty());
  const auto state = dataplane::read_kernel_state(maps());
  ASSERT_EQ(state.services.size(), plan.size());
  for (std::size_t i = 0; i < plan.size(); ++i) {
    ASSERT_EQ(state.services[i].key, plan[i].key);
    ASSERT_EQ(state.services[i].internal.tiers.size(), 1U);
    std::set<SocketAddress> backends;
    for (const auto id : state.services[i].internal.tiers[0].backend_ids) {
      backends.insert(dataplane::from_wire(maps().backends[id]));
    }
    const auto& wanted = plan[i].internal.tiers[0].backends;
    EXPECT_EQ(backends, std::set<SocketAddress>(wanted.begin(), wanted.end())) << i;
  }
  for (const auto& entry : std::filesystem::directory_iterator(sandbox_.pin_path())) {
    EXPECT_EQ(entry.path().string().find("-new"), std::string::npos) << entry.path();
  }
}

INSTANTIATE_TEST_SUITE_P(Growth, KilledBetweenPins,
                         testing::Values("backends", "frontends", "sets", "slots",
                                         "topology_keys"));

}  // namespace
}  // namespace topolb::test
