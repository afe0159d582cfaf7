// SPDX-License-Identifier: Apache-2.0
// What larger maps hold, and what readers and the next agent find while they take the place of the
// others. Source: docs/decisions/0043, 0060.
#include <bpf/bpf.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "support/growth_fixture.h"

namespace topolb::test {
namespace {

/// Many kinds of Services: up to sixteen keys, small tiers and large ones, terminating ones,
/// other ones from outside, kinds of traffic that share sets.
std::vector<core::ServicePortPlan> of_all_kinds() {
  std::vector<core::ServicePortPlan> plan;
  for (int i = 0; i < 200; ++i) {
    std::vector<TierSpec> tiers;
    for (int key = 0; key <= i % 16; ++key) {
      tiers.push_back({fmt::format("key{}", key), {}});
      for (int own = 0; own <= (i * 7 + key) % 25; ++own) {
        tiers.back().backends.push_back(fmt::format("10.{}.0.{}:{}", 10 + key, i, 1000 + own));
      }
    }
    auto internal = i % 9 == 0 ? refused(core::Verdict::Drop)
                               : traffic(tiers, i % 3 == 0 ? tiers : std::vector<TierSpec>{});
    internal.has_keys = i % 9 != 0;
    plan.push_back(service(fmt::format("kind{:03}", i), fmt::format("10.99.0.{}:80", i),
                           Protocol::TCP, internal));
    if (i % 5 == 0) plan.back().affinity_timeout_s = 100;
    if (i % 2 != 0) continue;
    const auto other = traffic({{"", {fmt::format("10.7.0.{}:80", i)}}});
    plan.back().external = i % 4 == 0 ? internal : other;
    add_frontend(plan.back(), core::FrontendKind::NodePort, fmt::format("0.0.0.0:{}", 30000 + i),
                 i % 8 == 0 ? internal : other);
  }
  return plan;
}

/// What the maps say of all Services, a line each, but for the ids of sets.
std::vector<std::string> described(const dataplane::KernelMaps& maps) {
  std::vector<std::string> lines;
  for (const auto& service : dataplane::read_kernel_state(maps).services) {
    auto line = fmt::format("{} {}:", service.id, service.key.service.name);
    std::vector<std::uint32_t> heads;
    for (const auto* set : {&service.internal, service.external ? &*service.external : nullptr,
                            service.node_external ? &*service.node_external : nullptr}) {
      if (set == nullptr) continue;
      const auto known = std::find(heads.begin(), heads.end(), set->set_ids.at(0));
      line +=
          fmt::format(" | set {} of {}, verdict {}, timeout {}", known - heads.begin(),
                      set->set_ids.size(), static_cast<int>(set->verdict), set->affinity_timeout_s);
      heads.push_back(set->set_ids[0]);
      for (const auto& tier : set->tiers) {
        line += fmt::format(" {} {} {} {} {}", tier.key, tier.terminating, tier.first_line,
                            tier.counter, fmt::join(tier.backend_ids, ","));
      }
    }
    lines.push_back(line);
  }
  return lines;
}

std::ptrdiff_t sets_in_use(const dataplane::KernelMaps& maps) {
  const auto rows = maps.sets.rows();
  return std::count_if(rows.begin(), rows.end(),
                       [](const auto& row) { return row.verdict != TOPOLB_VERDICT_NONE; });
}

TEST_F(Growth, SetsMoveWithTheirChains) {
  const auto plan = of_all_kinds();
  start_small(plan);
  ASSERT_TRUE(publisher_->problems().empty());
  const auto services = described(maps());
  const auto sets = sets_in_use(maps());
  ASSERT_GT(sets, 1000);
  for (int round = 0; round < 2; ++round) {
    auto needed = dataplane::sizes_needed(core::share(plan));
    needed.counters = maps().counters.capacity() + 1;
    if (round > 0) needed.sets = maps().sets.capacity() + 1;
    const auto made = datapath_->make_room(needed);
    ASSERT_TRUE(made && *made);
    EXPECT_EQ(described(maps()), services);
    EXPECT_EQ(sets_in_use(maps()), sets);
    publisher_.emplace(maps());
    publisher_->take_over(plan);
    EXPECT_FALSE(publisher_->has_retired()) << "all is as it is wanted";
    EXPECT_EQ(described(maps()), services);
    ASSERT_TRUE(switch_over());
  }
}

using Pins = std::map<std::string, UniqueFd>;

class HalfPinned : public Growth {
 protected:
  Pins pins() {
    Pins pins;
    for (const auto& name : dataplane::pinned_map_names()) {
      auto fd = dataplane::open_pinned(pin_of(name));
      if (fd) pins[name] = std::move(*fd);
    }
    return pins;
  }

  [[nodiscard]] std::string pin_of(const std::string& name) const {
    return dataplane::pin_of_map(sandbox_.pin_path(), name);
  }

  /// Each of these stands in its place again, the one that has taken it beside.
  void put_back(const Pins& old, const std::string& first) {
    for (const auto& [name, fd] : old) {
      if (name < first) continue;
      ASSERT_EQ(::rename(pin_of(name).c_str(), (pin_of(name) + "-new").c_str()), 0);
      ASSERT_EQ(bpf_obj_pin(fd.get(), pin_of(name).c_str()), 0);
    }
  }

  void expect_served(const std::vector<core::ServicePortPlan>& plan) {
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
  }

  /// What the command line reads.
  std::vector<std::string> read() {
    const auto maps =
        dataplane::KernelMaps::open_pinned(sandbox_.pin_path(), dataplane::Access::ReadOnly);
    if (maps) return described(*maps);
    ADD_FAILURE() << maps.error().message();
    return {};
  }
};

TEST_F(HalfPinned, ReadersSeeTheMapsBeforeUntilAllStandBeside) {
  start_small(web_and(300));
  const auto before = read();
  const auto old = pins();
  ASSERT_TRUE(grow_to(web_and(3000)));
  const auto after = read();
  ASSERT_NE(after, before);
  put_back(old, old.begin()->first);
  EXPECT_EQ(read(), after) << "all stand beside";
  ASSERT_EQ(::unlink((pin_of(old.rbegin()->first) + "-new").c_str()), 0);
  EXPECT_EQ(read(), before);
}

// The name of the pin that is the first of the old ones.
class KilledBetweenPins : public HalfPinned, public testing::WithParamInterface<const char*> {};

TEST_P(KilledBetweenPins, TheNextAgentFindsTheStateWhole) {
  start_small(web_and(300));
  auto old = pins();
  ASSERT_TRUE(grow_to(web_and(3000)));
  const auto whole = described(maps());
  put_back(old, GetParam());
  old.clear();
  EXPECT_EQ(read(), whole);
  const auto plan = plan_;
  stop();
  start_small(plan);
  EXPECT_TRUE(publisher_->problems().empty());
  EXPECT_EQ(described(maps()), whole);
  expect_served(plan);
  for (const auto& entry : std::filesystem::directory_iterator(sandbox_.pin_path())) {
    EXPECT_EQ(entry.path().string().find("-new"), std::string::npos) << entry.path();
  }
}

INSTANTIATE_TEST_SUITE_P(Growth, KilledBetweenPins,
                         testing::Values("backends", "frontends", "sets", "slots",
                                         "topology_keys"));

}  // namespace
}  // namespace topolb::test
