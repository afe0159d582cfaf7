// SPDX-License-Identifier: Apache-2.0
// What a server's refusals and silence do to the Events. Several writers, and a server that keeps
// what is written: tests/kube/event_writer_test.cpp.
#include "kube/event_writer.h"

#include <gtest/gtest.h>

#include "kube/api_call.h"
#include "scripted_api.h"

namespace topolb::kube {
namespace {

using namespace std::chrono_literals;

const core::Problem kWrongService{"Service", "default", "web", "Wrong", "it is wrong"};
const core::Problem kFull{"Node", "", "n1", "MapFull", "full"};
const Answer kSilence{.broken = Error{std::make_error_code(std::errc::timed_out), "silence"}};

Answer found() { return {200, {R"({"items":[{"metadata":{"uid":"u","resourceVersion":"7"}}]})"}}; }
Answer lease(const std::string& holder) {
  return {200,
          {R"({"metadata":{"resourceVersion":"5"},"spec":{"leaseDurationSeconds":60,)"
           R"("renewTime":"1970-01-01T00:00:00.000000Z","holderIdentity":")" +
           holder + R"("}})"}};
}

class EventWriterTest : public testing::Test {
 protected:
  /// One step, with these answers to what it asks; returns what that was.
  std::vector<std::string> step(std::deque<Answer> answers) {
    api.answers = std::move(answers);
    api.requests.clear();
    wait = writer.step({});
    EXPECT_TRUE(api.answers.empty());
    std::vector<std::string> asked;
    for (const auto& request : api.requests) {
      asked.push_back(request.method + request.target.substr(request.target.rfind('/')));
    }
    return asked;
  }
  void pass(std::chrono::milliseconds time) { now += time; }
  using Asked = std::vector<std::string>;

  ScriptedApi api;
  std::chrono::steady_clock::time_point now{1000h};
  std::chrono::milliseconds wait{};
  EventWriter writer{
      {.node_name = "n1", .lease_namespace = "kube-system"},
      {api, [this] { return now; },
       [this] { return std::chrono::system_clock::time_point(now.time_since_epoch()); },
       [] { return 0.5; }}};
  const Asked writes_event{"GET/nodes?fieldSelector=metadata.name%3Dn1", "POST/events"};
};

TEST_F(EventWriterTest, AsksNothingWhileAllIsWell) {
  EXPECT_EQ(step({}), Asked{});
  EXPECT_EQ(wait, 1h);
}

TEST_F(EventWriterTest, WaitsBeforeItSpeaksOfItsNode) {
  writer.set({.of_node = {kFull}});
  EXPECT_EQ(step({}), Asked{});
  EXPECT_EQ(wait, 15s);
  pass(15s);
  EXPECT_EQ(step({found(), {201, {"{}"}}}), writes_event);
  EXPECT_EQ(writer.status().written, 1U);
  EXPECT_EQ(wait, 45min) << "before the API server forgets it";
}

/// The Lease is for what is the cluster's.
TEST_F(EventWriterTest, LeavesTheClustersToTheHolder) {
  writer.set({.of_cluster = {kWrongService}});
  EXPECT_EQ(step({}), Asked{});
  pass(15s);
  EXPECT_EQ(step({lease("n2")}), Asked{"GET/topolb-events?resourceVersion=0"});
  EXPECT_EQ(writer.status().pending, 0U);
  pass(75s);
  EXPECT_EQ(step({lease("n2"), lease("n1")}),
            (Asked{"GET/topolb-events?resourceVersion=0", "PATCH/topolb-events"}));
  EXPECT_EQ(wait, 0s);
  EXPECT_TRUE(writer.status().holds_lease);
  EXPECT_EQ(writer.status().pending, 1U);
  EXPECT_EQ(step({found(), {201, {"{}"}}}).back(), "POST/events");
  EXPECT_EQ(wait, 20s);
}

TEST_F(EventWriterTest, TriesAgainEverMoreRarelyWhatIsNotAnswered) {
  writer.set({.of_node = {kFull}});
  step({});
  pass(15s);
  std::chrono::milliseconds before{};
  for (int i = 0; i < 12; ++i) {
    EXPECT_EQ(step({kSilence}).size(), 1U);
    EXPECT_GE(wait, before);
    EXPECT_LE(wait, 60s);
    before = wait;
    if (wait > 0s) {
      EXPECT_EQ(step({}), Asked{}) << "not before its time";
    }
    pass(wait);
  }
  EXPECT_EQ(before, 60s);
  EXPECT_EQ(writer.status().failed, 12U);
  EXPECT_EQ(writer.status().pending, 1U);
  EXPECT_NE(writer.status().error.find("silence"), std::string::npos);
  EXPECT_EQ(step({found(), {201, {"{}"}}}), writes_event);
  EXPECT_EQ(writer.status().error, "");
  EXPECT_EQ(writer.status().pending, 0U);
}

TEST_F(EventWriterTest, DropsWhatIsSolvedMeanwhile) {
  writer.set({.of_node = {kFull}});
  step({});
  pass(15s);
  step({kSilence});
  writer.set({});
  pass(1h);
  EXPECT_EQ(step({}), Asked{});
}

TEST_F(EventWriterTest, GivesAnOverloadedServerTime) {
  writer.set({.of_node = {kFull}});
  step({});
  pass(15s);
  EXPECT_EQ(step({{.status = 429, .retry_after = 600s}}).size(), 1U);
  EXPECT_EQ(wait, 60s);
}

TEST_F(EventWriterTest, PutsOffWhatIsRefusedAndGoesOn) {
  core::Problem other = kFull;
  other.reason = "Other";
  writer.set({.of_node = {kFull, other}});
  step({});
  pass(15s);
  EXPECT_EQ(step({found(), {.status = 403}}), writes_event);
  EXPECT_EQ(step({found(), {201, {"{}"}}}), writes_event);
  EXPECT_EQ(wait, 10min);
}

TEST_F(EventWriterTest, WithoutTheRightToTheLeaseStillSpeaksOfItsNode) {
  writer.set({.of_cluster = {kWrongService}, .of_node = {kFull}});
  step({});
  pass(15s);
  EXPECT_EQ(step({{.status = 403}}), Asked{"GET/topolb-events?resourceVersion=0"});
  EXPECT_EQ(step({found(), {201, {"{}"}}}), writes_event);
  EXPECT_EQ(wait, 10min);
  EXPECT_NE(writer.status().error.find("topolb-events"), std::string::npos);
}

/// Somebody else counts it now, or it was written before this agent's time.
TEST_F(EventWriterTest, CountsOnInTheEventThatIsThere) {
  writer.set({.of_node = {kFull}});
  step({});
  pass(15s);
  EXPECT_EQ(
      step({found(), {.status = 409}, {200, {R"({"series":{"count":4}})"}}, {200, {"{}"}}}).size(),
      4U);
  EXPECT_EQ(api.requests[2].body, "{}");
  EXPECT_NE(api.requests[3].body.find(R"("count":5,)"), std::string::npos);
  EXPECT_EQ(api.requests[2].target, api.requests[3].target);
}

TEST_F(EventWriterTest, WritesNoneOfAnObjectThatIsGone) {
  writer.set({.of_node = {kFull}});
  step({});
  pass(15s);
  EXPECT_EQ(step({{200, {R"({"items":[]})"}}}).size(), 1U);
  EXPECT_EQ(writer.status().written, 0U);
  EXPECT_EQ(writer.status().error, "");
}

}  // namespace
}  // namespace topolb::kube
