// SPDX-License-Identifier: Apache-2.0
// ClientIP session affinity at the socket hook. Source: design.md 3.3 (last rule), kube-proxy.
#include <fmt/format.h>

#include "dataplane/map_sizes.h"
#include "support/datapath_fixture.h"

namespace topolb::test {
namespace {

class Affinity : public DatapathTest {
 protected:
  void SetUp() override {
    for (const auto& backend : backends_) servers_.push_back(serve(backend));
  }

  core::ServicePortPlan sticky(core::TrafficPlan internal, std::uint32_t timeout_s = 10800) const {
    auto plan = service("web", "10.96.0.1:80", Protocol::TCP, std::move(internal));
    plan.affinity_timeout_s = timeout_s;
    return plan;
  }

  static std::string dial() { return dial_tcp("10.96.0.1:80").backend; }

  void expect_stays(const std::string& backend) {
    for (int i = 0; i < 20; ++i) ASSERT_EQ(dial(), backend);
  }

  const std::vector<std::string> backends_{"10.1.0.1:80", "10.1.0.2:80", "10.1.0.3:80",
                                           "10.1.0.4:80"};
  std::vector<std::unique_ptr<Server>> servers_;
};

TEST_F(Affinity, AClientStaysWithItsBackend) {
  start({sticky(traffic({{"", backends_}}))});
  expect_stays(dial());
}

TEST_F(Affinity, TheTimeoutEndsIt) {
  start({sticky(traffic({{"", backends_}}), 1)});
  const auto first = dial();
  expect_stays(first);
  // The entry made to look old, instead of a sleep.
  bool moved = false;
  for (int i = 0; i < 50 && !moved; ++i) {
    for (auto [key, value] : maps().affinities.entries()) {
      value.last_used_ns -= std::min<std::uint64_t>(value.last_used_ns, 2'000'000'000);
      ASSERT_TRUE(maps().affinities.put(key, value));
    }
    moved = dial() != first;
  }
  EXPECT_TRUE(moved);
}

TEST_F(Affinity, ABackendThatIsNoLongerUsableIsReChosenAtOnce) {
  start({sticky(traffic({{"", backends_}}))});
  const auto first = dial();
  set_state(first, TOPOLB_BACKEND_UNUSABLE);
  const auto second = dial();
  EXPECT_NE(second, first);
  set_state(first, TOPOLB_BACKEND_USABLE);
  expect_stays(second);
}

TEST_F(Affinity, ABackendOutOfTheSetIsReChosenAndOthersStay) {
  start({sticky(traffic({{"", backends_}}))});
  const auto first = dial();
  auto others = backends_;
  std::erase(others, first);
  change_to({sticky(traffic({{"", others}}))});
  const auto second = dial();
  EXPECT_NE(second, first);
  // The set is published anew, and the slot where it stood is another's: it is found all the same.
  change_to({sticky(traffic({{"", {second}}}))});
  change_to({sticky(traffic({{"", backends_}}))});
  expect_stays(second);
}

TEST_F(Affinity, ABackendIsFoundInATierOfAnySize) {
  constexpr int kOthers = 300'000;  // more than 2 to the power of 18: nineteen steps
  std::vector<std::string> backends;
  for (int i = 0; i < kOthers; ++i) {
    backends.push_back(fmt::format("10.{}.{}.{}:80", 64 + (i >> 16), i >> 8 & 255, i & 255));
  }
  backends.insert(backends.end(), {backends_[0], backends_[1]});
  const std::vector plan{sticky(traffic({{"", backends}}))};
  start(plan, sandbox_.options(), dataplane::sizes_needed(core::share(plan)));
  std::map<std::string, std::uint32_t> served;
  for (std::uint32_t id = 1; id < maps().backends.capacity(); ++id) {
    auto& row = maps().backends[id];
    const auto address = dataplane::from_wire(row).to_string();
    if (address == backends_[0] || address == backends_[1]) {
      served[address] = id;
    } else {
      row.state = TOPOLB_BACKEND_UNUSABLE;
    }
  }
  ASSERT_EQ(served.size(), 2U);
  ASSERT_NE(dial(), "");
  for (const auto& [address, id] : served) {
    for (auto [key, value] : maps().affinities.entries()) {
      value.backend_id = id;
      value.slot = 0;  // it stood elsewhere once
      ASSERT_TRUE(maps().affinities.put(key, value));
    }
    expect_stays(address);
  }
}

TEST_F(Affinity, ANearerTierThatComesBackWins) {
  start({sticky(traffic({{"host", {}}, {"*", {backends_[1], backends_[2]}}}))});
  const auto far = dial();
  expect_stays(far);
  change_to({sticky(traffic({{"host", {backends_[0]}}, {"*", backends_}}))});
  expect_stays(backends_[0]);
  set_state(backends_[0], TOPOLB_BACKEND_UNUSABLE);
  EXPECT_NE(dial(), backends_[0]);
}

TEST_F(Affinity, EachNetworkNamespaceIsAClientOfItsOwn) {
  start({sticky(traffic({{"", backends_}}))});
  dial();
  ASSERT_EQ(maps().affinities.entries().size(), 1U);
  auto key = maps().affinities.entries().front().first;
  EXPECT_EQ(key.client_netns_cookie, maps().settings[0].node_netns_cookie);
  EXPECT_TRUE(dataplane::from_wire(key.client_address).is_unspecified());
}

TEST_F(Affinity, WithoutAffinityNothingIsRemembered) {
  start({sticky(traffic({{"", backends_}}), 0)});
  dial();
  EXPECT_TRUE(maps().affinities.entries().empty());
}

}  // namespace
}  // namespace topolb::test
