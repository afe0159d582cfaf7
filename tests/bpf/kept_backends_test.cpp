// SPDX-License-Identifier: Apache-2.0
// What the publisher writes for the per-packet path: which backends are local, those that are in no
// tier and keep their flows, and source ranges. Sources: issue of the per-packet path; KEP-1669;
// Kubernetes API v1 ServiceSpec.loadBalancerSourceRanges.
#include "dataplane/frontend_table.h"
#include "support/datapath_fixture.h"

namespace topolb::test {
namespace {

class KeptBackends : public DatapathTest {
 protected:
  static core::ServicePortPlan web(const std::vector<std::string>& backends,
                                   const std::vector<std::string>& idle = {},
                                   const std::vector<std::string>& local = {}) {
    auto plan = service("web", "10.96.0.1:80", Protocol::TCP, traffic({{"", backends}}));
    for (const auto& backend : idle) plan.idle_backends.push_back(socket_address(backend));
    for (const auto& backend : local) plan.local_backends.push_back(socket_address(backend));
    return plan;
  }

  static core::ServicePortPlan ranged(const std::vector<std::string>& ranges) {
    auto plan = web({"10.1.0.1:80"});
    for (const auto& range : ranges) plan.source_ranges.push_back(*IpPrefix::parse(range));
    std::sort(plan.source_ranges.begin(), plan.source_ranges.end());
    return plan;
  }

  /// 0: it has no row.
  std::uint32_t id_of(const std::string& backend) {
    for (std::uint32_t id = 1; id < maps().backends.capacity(); ++id) {
      const auto& row = maps().backends[id];
      if (row.state != TOPOLB_BACKEND_FREE &&
          dataplane::from_wire(row) == socket_address(backend)) {
        return id;
      }
    }
    return 0;
  }

  std::uint32_t flags_of(const std::string& backend) {
    return maps().backends[id_of(backend)].flags;
  }

  std::vector<std::string> ranges() {
    std::vector<std::string> texts;
    for (const auto& [range, value] : maps().source_ranges.entries()) {
      texts.push_back(dataplane::from_wire(range).to_string());
    }
    std::sort(texts.begin(), texts.end());
    return texts;
  }

  bool is_ranged() {
    const auto state = dataplane::read_kernel_state(maps());
    const auto set = state.services.at(0).internal.set_ids.front();
    return (maps().sets[set].flags & TOPOLB_SET_SOURCE_RANGES) != 0;
  }
};

using Texts = std::vector<std::string>;

TEST_F(KeptBackends, LocalOnesAreMarkedAndFollowed) {
  start({web({"10.1.0.1:80", "10.1.0.2:80"}, {}, {"10.1.0.1:80"})});
  EXPECT_EQ(flags_of("10.1.0.1:80"), TOPOLB_BACKEND_LOCAL);
  EXPECT_EQ(flags_of("10.1.0.2:80"), 0U);
  change_to({web({"10.1.0.1:80", "10.1.0.2:80"}, {}, {"10.1.0.2:80"})});
  EXPECT_EQ(flags_of("10.1.0.1:80"), 0U);
  EXPECT_EQ(flags_of("10.1.0.2:80"), TOPOLB_BACKEND_LOCAL);
}

TEST_F(KeptBackends, AnIdleOneKeepsItsRowUntilItsEndpointIsGone) {
  start({web({"10.1.0.1:80", "10.1.0.2:80"})});
  const auto id = id_of("10.1.0.1:80");
  change_to({web({"10.1.0.2:80"}, {"10.1.0.1:80", "10.1.0.9:80"})});
  publisher_->reclaim();
  EXPECT_EQ(id_of("10.1.0.1:80"), id);
  EXPECT_EQ(flags_of("10.1.0.1:80"), 0U);
  EXPECT_EQ(id_of("10.1.0.9:80"), 0U) << "it was never in a tier, so it has no flows";

  change_to({web({"10.1.0.2:80"})});
  EXPECT_EQ(id_of("10.1.0.1:80"), id) << "programs may be reading it";
  EXPECT_EQ(flags_of("10.1.0.1:80"), TOPOLB_BACKEND_GONE);
  publisher_->reclaim();
  EXPECT_EQ(id_of("10.1.0.1:80"), 0U);
}

TEST_F(KeptBackends, OneThatComesBackBeforeItsRowIsFreeIsTheSame) {
  start({web({"10.1.0.1:80", "10.1.0.2:80"}, {}, {"10.1.0.1:80"})});
  const auto id = id_of("10.1.0.1:80");
  for (int times = 0; times < 3; ++times) {
    change_to({web({"10.1.0.2:80"})});
    EXPECT_EQ(flags_of("10.1.0.1:80"), TOPOLB_BACKEND_LOCAL | TOPOLB_BACKEND_GONE);
    change_to({web({"10.1.0.1:80", "10.1.0.2:80"}, {}, {"10.1.0.1:80"})});
    EXPECT_EQ(flags_of("10.1.0.1:80"), TOPOLB_BACKEND_LOCAL);
  }
  change_to({web({"10.1.0.2:80"})});
  change_to({web({"10.1.0.2:80"}, {"10.1.0.1:80"})});
  EXPECT_EQ(flags_of("10.1.0.1:80"), TOPOLB_BACKEND_LOCAL);
  publisher_->reclaim();
  EXPECT_EQ(id_of("10.1.0.1:80"), id);
  EXPECT_EQ(publisher_->fill()[0].used, 2U);
}

TEST_F(KeptBackends, TheNextAgentKeepsThoseThatAreStillHere) {
  start({web({"10.1.0.1:80", "10.1.0.2:80", "10.1.0.3:80"})});
  const auto id = id_of("10.1.0.1:80");
  change_to({web({"10.1.0.3:80"}, {"10.1.0.1:80", "10.1.0.2:80"})});
  stop();
  start({web({"10.1.0.3:80"}, {"10.1.0.1:80"})});
  publisher_->reclaim();
  EXPECT_EQ(id_of("10.1.0.1:80"), id);
  EXPECT_EQ(id_of("10.1.0.2:80"), 0U);
  change_to({web({"10.1.0.3:80"})});
  publisher_->reclaim();
  EXPECT_EQ(id_of("10.1.0.1:80"), 0U);
}

TEST_F(KeptBackends, AServiceThatGoesLetsGoOfThem) {
  start({web({"10.1.0.1:80"})});
  change_to({web({"10.1.0.2:80"}, {"10.1.0.1:80"})});
  change_to({});
  publisher_->reclaim();
  EXPECT_EQ(publisher_->fill()[0].used, 0U);
}

TEST_F(KeptBackends, SourceRangesFollowTheService) {
  start({ranged({"198.51.100.0/24", "2001:db8::/32"})});
  EXPECT_EQ(ranges(), (Texts{"198.51.100.0/24", "2001:db8::/32"}));
  EXPECT_TRUE(is_ranged());
  change_to({ranged({"198.51.100.0/24", "203.0.113.7/32"})});
  EXPECT_EQ(ranges(), (Texts{"198.51.100.0/24", "203.0.113.7/32"}));
  stop();
  start({ranged({"203.0.113.7/32"})});
  EXPECT_EQ(ranges(), Texts{"203.0.113.7/32"});
  change_to({ranged({})});
  EXPECT_EQ(ranges(), Texts{});
  EXPECT_FALSE(is_ranged());
  change_to({ranged({"0.0.0.0/0"})});
  change_to({});
  EXPECT_EQ(ranges(), Texts{});
}

TEST_F(KeptBackends, ServiceWhoseRangesFindNoRoomIsNotOpenToAll) {
  auto options = sandbox_.options();
  options.limits.source_ranges = 2;
  start({}, options);
  change_to({ranged({"10.0.0.0/8", "11.0.0.0/8", "12.0.0.0/8"})});
  ASSERT_FALSE(publisher_->problems().empty());
  for (const auto& problem : publisher_->problems()) EXPECT_EQ(problem.reason, "MapFull");
  EXPECT_TRUE(dataplane::live_frontends(maps().frontends).empty());
  EXPECT_EQ(ranges(), Texts{});
  change_to({ranged({"10.0.0.0/8"})});
  EXPECT_TRUE(publisher_->problems().empty());
  EXPECT_EQ(ranges(), Texts{"10.0.0.0/8"});
}

}  // namespace
}  // namespace topolb::test
