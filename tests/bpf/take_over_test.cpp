// SPDX-License-Identifier: Apache-2.0
// What happens between two agents on one pin path: nothing, to connections.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <atomic>
#include <thread>

#include "dataplane/frontend_table.h"
#include "dataplane/pins.h"
#include "dataplane/service_names.h"
#include "dataplane/socket_hooks.h"
#include "support/datapath_fixture.h"

namespace topolb::test {
namespace {

class TakeOver : public DatapathTest {
 protected:
  static core::ServicePortPlan web(const std::string& name, int number,
                                   const std::vector<std::string>& backends) {
    return service(name, fmt::format("10.96.0.{}:80", number), Protocol::TCP,
                   traffic({{"zone", backends}}));
  }
};

TEST_F(TakeOver, ConnectionsGoOnWithoutAnAgent) {
  const auto server = serve("10.1.0.1:80");
  start({web("a", 1, {"10.1.0.1:80"})});
  stop();
  const auto seen = dial_tcp("10.96.0.1:80");
  EXPECT_EQ(seen.backend, "10.1.0.1:80");
  EXPECT_EQ(seen.peer, "10.96.0.1:80");
}

TEST_F(TakeOver, TheNextAgentKeepsIdsAndAppliesTheDifference) {
  const auto server = serve("10.1.0.3:80");
  start({web("a", 1, {"10.1.0.1:80"}), web("b", 2, {"10.1.0.2:80"}), web("c", 3, {"10.1.0.4:80"})});
  const auto before = dataplane::read_kernel_state(maps());
  stop();
  start({web("a", 1, {"10.1.0.1:80"}), web("b", 2, {"10.1.0.3:80"}), web("d", 4, {"10.1.0.1:80"})});
  EXPECT_TRUE(datapath_->took_over());
  const auto after = dataplane::read_kernel_state(maps());
  ASSERT_EQ(after.services.size(), 3U);
  EXPECT_EQ(after.services[0].id, before.services[0].id);
  EXPECT_EQ(after.services[0].internal.set_ids, before.services[0].internal.set_ids);
  EXPECT_EQ(after.services[0].internal.tiers[0].backend_ids,
            before.services[0].internal.tiers[0].backend_ids);
  EXPECT_EQ(after.services[1].id, before.services[1].id);
  EXPECT_EQ(after.services[2].key.service.name, "d");
  EXPECT_EQ(dial_tcp("10.96.0.2:80").backend, "10.1.0.3:80");
  EXPECT_NE(dial_tcp("10.96.0.3:80").error, 0);  // c is gone; nothing translates its address
  EXPECT_TRUE(after.orphan_frontends.empty());
}

std::vector<std::string> addresses(int count, int subnet) {
  std::vector<std::string> all;
  for (int i = 1; i <= count; ++i) all.push_back(fmt::format("10.1.{}.{}:80", subnet, i));
  return all;
}

core::ServicePortPlan chained(const std::vector<TierSpec>& tiers,
                              const std::vector<TierSpec>& terminating) {
  return service("web", "10.96.0.1:80", Protocol::TCP, traffic(tiers, terminating));
}

TEST_F(TakeOver, ASetOfSeveralTiersIsKeptOrReplacedWhole) {
  const std::vector<TierSpec> tiers{
      {"host", addresses(3, 1)}, {"rack", addresses(12, 2)}, {"zone", addresses(10, 3)}};
  const std::vector<TierSpec> terminating{{"rack", addresses(17, 4)}};
  auto fewer = tiers;
  fewer.pop_back();
  auto others = tiers;
  others[2].backends.back() = "10.1.5.1:80";
  auto renamed = tiers;
  renamed[1].key = "row";
  const core::ServicePortPlan refusing =
      service("web", "10.96.0.1:80", Protocol::TCP, refused(core::Verdict::Reject));
  start({chained(tiers, terminating)});
  for (const auto& plan :
       {chained(tiers, terminating), chained(tiers, {{"rack", addresses(16, 4)}}),
        chained(tiers, {}), chained(fewer, terminating), chained(others, terminating),
        chained(renamed, terminating), chained({}, terminating), refusing, chained(tiers, {})}) {
    const auto before = dataplane::read_kernel_state(maps()).services.at(0).internal;
    const bool is_same = plan == plan_.front();
    stop();
    start({plan});
    ASSERT_TRUE(datapath_->took_over());
    const auto after = dataplane::read_kernel_state(maps()).services.at(0).internal;
    EXPECT_EQ(after.set_ids == before.set_ids, is_same);
    std::vector<std::size_t> sizes;
    for (const auto& tier : after.tiers) sizes.push_back(tier.backend_ids.size());
    std::vector<std::size_t> wanted;
    for (const auto* list : {&plan.internal.tiers, &plan.internal.terminating_tiers}) {
      for (const auto& tier : *list) wanted.push_back(tier.backends.size());
    }
    EXPECT_EQ(sizes, wanted);
    EXPECT_EQ(after.set_ids.size(), std::max<std::size_t>(1, wanted.size()));
    publisher_->reclaim();
  }
  change_to({});
  publisher_->reclaim();
  for (const auto& set : maps().sets.rows()) ASSERT_EQ(set.verdict, TOPOLB_VERDICT_NONE);
  for (const auto& line : maps().slots.rows()) ASSERT_EQ(line.backend_ids[0], 0U);
  for (const auto& backend : maps().backends.rows()) {
    ASSERT_EQ(backend.state, TOPOLB_BACKEND_FREE);
  }
}

TEST_F(TakeOver, AFlippedStateSurvives) {
  start({web("a", 1, {"10.1.0.1:80", "10.1.0.2:80"})});
  set_state("10.1.0.1:80", TOPOLB_BACKEND_UNUSABLE);
  stop();
  start({web("a", 1, {"10.1.0.1:80", "10.1.0.2:80"})});
  const auto ids = dataplane::read_kernel_state(maps()).services.at(0).internal.tiers.at(0);
  int unusable = 0;
  for (const auto id : ids.backend_ids) {
    unusable += maps().backends[id].state == TOPOLB_BACKEND_UNUSABLE ? 1 : 0;
  }
  EXPECT_EQ(unusable, 1);
}

TEST_F(TakeOver, OpenSocketsKeepTheirState) {
  const auto server = serve("10.1.0.1:53", Protocol::UDP);
  start({service("dns", "10.96.0.10:53", Protocol::UDP, traffic({{"", {"10.1.0.1:53"}}}))});
  UdpClient client(Family::IPv4);
  EXPECT_EQ(client.ask("10.96.0.10:53").peer, "10.96.0.10:53");
  const auto before = dataplane::read_hooks(sandbox_.pin_path());
  stop();
  start(plan_);
  const auto after = dataplane::read_hooks(sandbox_.pin_path());
  ASSERT_EQ(after.size(), before.size());
  for (std::size_t i = 0; i < after.size(); ++i) {
    EXPECT_TRUE(after[i].attached) << after[i].name;
    EXPECT_NE(after[i].program_id, before[i].program_id) << "the new agent's program serves";
  }
  // The datagram was sent before the programs changed; its answer is read after.
  EXPECT_EQ(client.ask("10.96.0.10:53").peer, "10.96.0.10:53");
}

TEST_F(TakeOver, NoConnectionFailsWhileAgentsComeAndGo) {
  const auto server = serve("10.1.0.1:80");
  start({web("a", 1, {"10.1.0.1:80"})});
  std::atomic<bool> done{false};
  std::atomic<int> dialled{0};
  std::atomic<int> failed{0};
  std::thread client([&] {
    while (!done) {
      const auto seen = dial_tcp("10.96.0.1:80");
      ++dialled;
      if (seen.backend != "10.1.0.1:80" || seen.peer != "10.96.0.1:80") ++failed;
    }
  });
  for (int i = 0; i < 5; ++i) {
    stop();
    start(plan_);
  }
  // Other sizes can't be taken over in place: new maps, and the hooks switch to them.
  auto options = sandbox_.options();
  options.limits.backends = 1000;
  stop();
  start(plan_, options);
  EXPECT_FALSE(datapath_->took_over());
  done = true;
  client.join();
  EXPECT_EQ(failed, 0);
  EXPECT_GT(dialled, 100);
  EXPECT_EQ(dataplane::KernelMaps::open_pinned(sandbox_.pin_path(), dataplane::Access::ReadOnly)
                ->backends.capacity(),
            1000U);
}

TEST_F(TakeOver, NodePortsAreKnownAllTheTime) {
  std::vector<core::ServicePortPlan> plan;
  for (int i = 0; i < 2000; ++i) {
    plan.push_back(service(fmt::format("web{:04}", i),
                           fmt::format("10.96.{}.{}:80", i / 250, i % 250), Protocol::TCP,
                           traffic({{"", {"10.1.0.1:80"}}})));
    add_frontend(plan.back(), core::FrontendKind::NodePort, fmt::format("0.0.0.0:{}", 30000 + i),
                 traffic({{"", {"10.1.0.1:80"}}}));
  }
  start(plan);
  stop();
  const auto seen =
      dataplane::KernelMaps::open_pinned(sandbox_.pin_path(), dataplane::Access::ReadOnly);
  ASSERT_TRUE(seen);
  const volatile topolb_settings& settings = seen->settings[0];
  std::atomic<bool> done{false};
  std::atomic<std::uint64_t> narrow{0};
  std::thread reader([&] {
    while (!done) {
      if (settings.node_port_min != 30000 || settings.node_port_max != 31999) ++narrow;
    }
  });
  for (int i = 0; i < 3; ++i) {
    start(plan);
    stop();
  }
  done = true;
  reader.join();
  EXPECT_EQ(narrow, 0U);
}

TEST_F(TakeOver, AnotherLayoutVersionIsReplacedNotRead) {
  const auto server = serve("10.1.0.1:80");
  start({web("a", 1, {"10.1.0.1:80"})});
  maps().settings[0].layout_version = TOPOLB_LAYOUT_VERSION + 1;
  stop();
  const auto opened =
      dataplane::KernelMaps::open_pinned(sandbox_.pin_path(), dataplane::Access::ReadOnly);
  ASSERT_FALSE(opened);
  EXPECT_NE(opened.error().message().find("layout version"), std::string::npos);
  start({web("a", 1, {"10.1.0.1:80"})});
  EXPECT_FALSE(datapath_->took_over());
  EXPECT_EQ(dial_tcp("10.96.0.1:80").backend, "10.1.0.1:80");
}

TEST_F(TakeOver, WhatAKilledAgentLeftUnfinishedIsCleared) {
  start({web("a", 1, {"10.1.0.1:80"})});
  // A set with slots and a backend that no service points at, a name without sets, a frontend
  // without a service: as a SIGKILL between two writes leaves them.
  maps().backends[77] = {.port_be = 1, .state = TOPOLB_BACKEND_USABLE};
  maps().slots[88].backend_ids[0] = 77;
  maps().sets[99] = {.verdict = TOPOLB_VERDICT_FORWARD, .backend_count = 1};
  dataplane::write_name(maps().service_names, 55, {});
  dataplane::FrontendTable table(maps().frontends, maps().settings[0]);
  ASSERT_TRUE(table.put({.port_be = 1, .protocol = 6, .service_id = 66, .inside_set = 99}));
  stop();
  start(plan_);
  publisher_->reclaim();
  EXPECT_EQ(maps().backends[77].state, TOPOLB_BACKEND_FREE);
  EXPECT_EQ(maps().slots[88].backend_ids[0], 0U);
  EXPECT_EQ(maps().sets[99].verdict, TOPOLB_VERDICT_NONE);
  EXPECT_EQ(dataplane::read_names(maps().service_names).size(), 1U);
  EXPECT_EQ(dataplane::live_frontends(maps().frontends).size(), 1U);
}

TEST_F(TakeOver, ASecondAgentOnThePinPathIsRefusedInOneLine) {
  start({web("a", 1, {"10.1.0.1:80"})});
  const auto second = dataplane::Datapath::open(sandbox_.options());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().message(), "another topolbd runs on pin path " + sandbox_.pin_path());
  EXPECT_TRUE(dataplane::is_claimed(sandbox_.pin_path()));
  stop();
  EXPECT_FALSE(dataplane::is_claimed(sandbox_.pin_path()));
}

TEST_F(TakeOver, CleanupRemovesEverything) {
  const auto server = serve("10.1.0.1:80");
  start({web("a", 1, {"10.1.0.1:80"})});
  const auto refused = dataplane::remove_pins(sandbox_.pin_path());
  EXPECT_FALSE(refused) << "an agent runs";
  stop();
  const auto removed = dataplane::remove_pins(sandbox_.pin_path());
  ASSERT_TRUE(removed) << removed.error().message();
  EXPECT_EQ(removed->size(), dataplane::pinned_map_names().size() + dataplane::kSocketHooks.size());
  struct stat facts {};
  EXPECT_NE(::stat(sandbox_.pin_path().c_str(), &facts), 0);
  EXPECT_NE(dial_tcp("10.96.0.1:80").error, 0);
}

TEST_F(TakeOver, ErrorsAreOneClearLine) {
  auto options = sandbox_.options();
  options.pin_path = "/tmp";
  const auto no_bpffs = dataplane::Datapath::open(options);
  ASSERT_FALSE(no_bpffs);
  EXPECT_NE(no_bpffs.error().message().find("is not on a bpffs"), std::string::npos);
  options = sandbox_.options();
  options.cgroup_path = "/nowhere";
  EXPECT_EQ(dataplane::Datapath::open(options).error().message(),
            "open cgroup /nowhere: No such file or directory");
  options.cgroup_path = "/tmp";
  EXPECT_EQ(dataplane::Datapath::open(options).error().message(),
            "--cgroup /tmp is not in a cgroup2 hierarchy");
}

}  // namespace
}  // namespace topolb::test
