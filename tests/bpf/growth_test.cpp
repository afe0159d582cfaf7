// SPDX-License-Identifier: Apache-2.0
// The maps get larger while everything goes on. Source: docs/decisions/0043.
#include <fmt/format.h>
#include <sys/resource.h>

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
    const auto shared = core::share(plan);
    const auto made = datapath_->make_room(dataplane::sizes_needed(shared));
    EXPECT_TRUE(made) << made.error().message();
    if (!made || !*made) return false;
    publisher_.emplace(datapath_->maps());
    publisher_->take_over(shared);
    const auto attached = datapath_->attach();
    EXPECT_TRUE(attached) << attached.error().message();
    datapath_->drop_replaced_maps();
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
