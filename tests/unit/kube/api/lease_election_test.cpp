// SPDX-License-Identifier: Apache-2.0
#include "kube/lease_election.h"

#include <gtest/gtest.h>

#include "kube/micro_time.h"

namespace topolb::kube {
namespace {

using namespace std::chrono_literals;
using Step = LeaseElection::Step;

class LeaseElectionTest : public testing::Test {
 protected:
  /// Another node's, renewed `age` ago by our clock.
  Lease others(const std::string& version, std::chrono::seconds age = 0s) const {
    return {.holder = "n2",
            .duration = 60s,
            .acquired = "2026-01-01T00:00:00.000000Z",
            .renewed = micro_time_text(wall - age),
            .transitions = 3,
            .resource_version = version};
  }
  void pass(std::chrono::milliseconds time) {
    now += time;
    wall += time;
  }
  bool may_take(const std::optional<Lease>& lease) { return election.may_take(lease, now, wall); }
  /// Takes it when nobody has it.
  void become_holder() {
    election.want(true, now);
    pass(15s);
    ASSERT_EQ(election.step(now), Step::Look);
    ASSERT_TRUE(may_take(std::nullopt));
    Lease lease = election.next_term(std::nullopt, wall);
    lease.resource_version = "1";
    election.written(lease, now);
  }
  [[nodiscard]] std::optional<std::chrono::nanoseconds> until_next() const {
    if (!election.next_step()) return std::nullopt;
    return *election.next_step() - now;
  }

  LeaseElection::Time now{1000h};
  LeaseElection::WallTime wall{500000h};
  LeaseElection election{"n1", {}, [] { return 0.5; }};
};

TEST_F(LeaseElectionTest, LooksOnlyWhenWanted) {
  EXPECT_EQ(until_next(), std::nullopt);
  election.want(true, now);
  EXPECT_EQ(until_next(), 15s);
  EXPECT_EQ(election.step(now), Step::None);
  election.want(false, now);
  EXPECT_EQ(until_next(), std::nullopt);
}

TEST_F(LeaseElectionTest, TakesWhatNobodyHas) {
  become_holder();
  EXPECT_TRUE(election.holds(now));
  EXPECT_EQ(election.held()->holder, "n1");
  EXPECT_EQ(election.held()->duration, 60s);
  EXPECT_EQ(election.held()->transitions, 0U);
  EXPECT_EQ(election.held()->acquired, election.held()->renewed);
  Lease released = others("5");
  released.holder.clear();
  EXPECT_TRUE(may_take(released));
  EXPECT_EQ(election.next_term(released, wall).transitions, 4U);
}

/// The agent before this one, on the same node.
TEST_F(LeaseElectionTest, GoesOnWithItsOwn) {
  Lease own = others("5", 10s);
  own.holder = "n1";
  EXPECT_TRUE(may_take(own));
  const Lease next = election.next_term(own, wall);
  EXPECT_EQ(next.transitions, 3U);
  EXPECT_EQ(next.acquired, own.acquired);
  EXPECT_EQ(next.resource_version, "5");
}

TEST_F(LeaseElectionTest, LeavesALiveOneAloneForLong) {
  election.want(true, now);
  EXPECT_FALSE(may_take(others("5", 10s)));
  EXPECT_EQ(until_next(), 450s);
  pass(450s);
  EXPECT_FALSE(may_take(others("6", 10s)));
  EXPECT_EQ(until_next(), 450s);
}

/// What comes and goes does not make every node ask anew each time.
TEST_F(LeaseElectionTest, KeepsItsNextLookWhileProblemsComeAndGo) {
  election.want(true, now);
  EXPECT_FALSE(may_take(others("5", 10s)));
  election.want(false, now);
  pass(10s);
  election.want(true, now);
  EXPECT_EQ(until_next(), 440s);
}

TEST_F(LeaseElectionTest, TakesWhatItHasSeenUnchangedForItsTime) {
  election.want(true, now);
  EXPECT_FALSE(may_take(others("5", 200s)));
  EXPECT_EQ(until_next(), 75s) << "looks old: looks again soon";
  pass(59s);
  EXPECT_FALSE(may_take(others("5", 259s)));
  pass(1s);
  EXPECT_TRUE(may_take(others("5", 260s)));
}

/// However the clocks differ.
TEST_F(LeaseElectionTest, BelievesItsOwnClockOnly) {
  EXPECT_FALSE(may_take(others("5", 10h)));
  pass(59s);
  EXPECT_FALSE(may_take(others("6", 10h))) << "renewed, by a clock that is 10 h behind";
  pass(59s);
  EXPECT_FALSE(may_take(others("6", 10h)));
  pass(1s);
  EXPECT_TRUE(may_take(others("6", -10h))) << "not renewed, by a clock that is 10 h ahead";
}

TEST_F(LeaseElectionTest, RenewsBeforeItsDeadline) {
  become_holder();
  EXPECT_EQ(until_next(), 20s);
  pass(20s);
  EXPECT_EQ(election.step(now), Step::Renew);
  EXPECT_TRUE(election.holds(now));
  election.written(election.next_term(election.held(), wall), now);
  EXPECT_EQ(until_next(), 20s);
}

TEST_F(LeaseElectionTest, StopsBeforeAnotherMayBegin) {
  become_holder();
  pass(39s);
  EXPECT_TRUE(election.holds(now));
  pass(1s);
  EXPECT_FALSE(election.holds(now)) << "40 s without a word from the server, of 60";
  EXPECT_EQ(election.step(now), Step::Renew);
  election.lost(now);
  EXPECT_FALSE(election.held());
  EXPECT_EQ(until_next(), 15s);
}

TEST_F(LeaseElectionTest, LetsGoOfWhatItNeedsNoMore) {
  become_holder();
  election.want(false, now);
  EXPECT_EQ(election.step(now), Step::None) << "it may come back";
  pass(20s);
  ASSERT_EQ(election.step(now), Step::Release);
  const Lease released = election.released(wall);
  EXPECT_EQ(released.holder, "");
  EXPECT_EQ(released.resource_version, "1");
  election.written(released, now);
  EXPECT_FALSE(election.holds(now));
  EXPECT_EQ(until_next(), std::nullopt);
}

}  // namespace
}  // namespace topolb::kube
