// SPDX-License-Identifier: Apache-2.0
// Lists: a whole one is the truth, anything less is unknown. Source: Kubernetes API concepts;
// design.md 6 ("a failed list is unknown, never empty"); KEP-3157.
#include <algorithm>

#include "reflector_fixture.h"

namespace topolb::kube {
namespace {

using std::chrono::milliseconds;

TEST_F(ReflectorTest, PagesMakeOneList) {
  api.answers.push_back({200, {list_json("10", {service_json("a", "1")}, "more/1")}});
  EXPECT_EQ(step({200, {list_json("10", {service_json("b", "2")})}}), "+a +b =");
  ASSERT_EQ(api.requests.size(), 3U);
  EXPECT_EQ(api.requests[1].target, "/api/v1/services?limit=500&labelSelector=%21x");
  EXPECT_EQ(api.requests[2].target,
            "/api/v1/services?limit=500&continue=more%2F1&labelSelector=%21x");
  EXPECT_TRUE(reflector->status().synced);
}

TEST_F(ReflectorTest, WatchBeginsAtTheVersionOfTheList) {
  start_with_a_and_b();
  step({200, {bookmark_line("11")}});
  EXPECT_EQ(last_target(),
            "/api/v1/services?watch=1&allowWatchBookmarks=true&resourceVersion=10&"
            "timeoutSeconds=450&labelSelector=%21x");
}

struct NoList {
  const char* name;
  Answer answer;
};

class FailedListTest : public ReflectorTest, public testing::WithParamInterface<NoList> {};

/// Nothing is told, and nothing of what was known is lost.
TEST_P(FailedListTest, SaysNothing) {
  EXPECT_EQ(step(GetParam().answer), "");
  EXPECT_FALSE(reflector->status().synced);
  EXPECT_FALSE(reflector->status().error.empty());
  start_with_a_and_b();
  step({410, {status_json(410, "too old")}});
  EXPECT_EQ(step(GetParam().answer), "");
  EXPECT_EQ(step({200, {list_json("12", {service_json("a", "1"), service_json("b", "2")})}}), "=");
}

INSTANTIATE_TEST_SUITE_P(
    Answers, FailedListTest,
    testing::Values(
        NoList{"InternalError", {500, {status_json(500, "etcd is gone")}}},
        NoList{"Forbidden", {403, {status_json(403, "no such right")}}},
        NoList{"Overload", {429, {"slow down"}}},
        NoList{"ConnectionLost", {200, {list_json("10", {}).substr(0, 30)}, connection_lost()}},
        NoList{"JsonCutShort", {200, {list_json("10", {service_json("a", "1")}).substr(0, 120)}}},
        NoList{"EmptyBody", {200, {}}}, NoList{"EmptyObject", {200, {"{}"}}},
        NoList{"LoginPage", {200, {"<html>Please log in</html>"}}},
        NoList{"StatusInstead", {200, {status_json(200, "fine")}}},
        NoList{"OtherKind",
               {200,
                {R"({"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"9"},)"
                 R"("items":[]})"}}},
        NoList{"OtherVersion",
               {200,
                {R"({"kind":"ServiceList","apiVersion":"v2","metadata":)"
                 R"({"resourceVersion":"9"},"items":[]})"}}},
        NoList{"NoItems",
               {200,
                {R"({"kind":"ServiceList","apiVersion":"v1","metadata":)"
                 R"({"resourceVersion":"9"}})"}}},
        NoList{"NoVersion",
               {200, {R"({"kind":"ServiceList","apiVersion":"v1","metadata":{},"items":[]})"}}}),
    [](const auto& tested) { return tested.param.name; });

// Nothing is known yet that a part of the first list could contradict.
TEST_F(ReflectorTest, PagesOfTheFirstListAreToldAsTheyCome) {
  api.answers.push_back({200, {list_json("10", {service_json("a", "1")}, "more")}});
  EXPECT_EQ(step({500, {}}), "+a");
  EXPECT_FALSE(reflector->status().synced);
  EXPECT_EQ(step({200, {list_json("10", {service_json("a", "1"), service_json("b", "2")})}}),
            "+b =");
}

TEST_F(ReflectorTest, WhatOnlyAnUnfinishedFirstListHadIsRemovedByTheNextOne) {
  api.answers.push_back({200, {list_json("10", {service_json("a", "1")}, "more")}});
  EXPECT_EQ(step({500, {}}), "+a");
  EXPECT_EQ(step({200, {list_json("11", {service_json("b", "2")})}}), "+b -a =");
}

TEST_F(ReflectorTest, ASecondPageThatFailsUndoesTheFirst) {
  start_with_a_and_b();
  step({410, {}});
  api.answers.push_back({200, {list_json("12", {service_json("a", "11")}, "more")}});
  EXPECT_EQ(step({500, {}}), "");
  EXPECT_EQ(step({200, {list_json("12", {service_json("a", "11"), service_json("b", "2")})}}),
            "+a =");
}

TEST_F(ReflectorTest, AnExpiredContinueTokenAsksForTheListInOnePiece) {
  api.answers.push_back({200, {list_json("10", {service_json("a", "1")}, "more")}});
  EXPECT_EQ(step({410, {status_json(410, "continue expired")}}), "+a");
  EXPECT_EQ(step({200, {list_json("15", {service_json("b", "12")})}}), "+b -a =");
  EXPECT_EQ(last_target(), "/api/v1/services?labelSelector=%21x");
}

TEST_F(ReflectorTest, AnEmptyListIsObeyed) {
  start_with_a_and_b();
  step({410, {}});
  EXPECT_EQ(step({200,
                  {R"({"kind":"ServiceList","apiVersion":"v1","metadata":)"
                   R"({"resourceVersion":"20"},"items":null})"}}),
            "-a -b =");
}

TEST_F(ReflectorTest, ARelistTellsTheDifferencesOnly) {
  start_with_a_and_b();
  step({410, {}});
  EXPECT_EQ(step({200, {list_json("20", {service_json("b", "15"), service_json("c", "16")})}}),
            "+b +c -a =");
}

TEST_F(ReflectorTest, AListThatIsOlderThanWhatIsKnownIsBelievedTheThirdTimeOnly) {
  start_with_a_and_b();
  step({410, {}});
  const Answer old{200, {list_json("9", {})}};
  EXPECT_EQ(step(old), "");
  EXPECT_EQ(step(old), "");
  EXPECT_EQ(step(old), "-a -b =");  // restored from a backup
  step({200, {bookmark_line("9")}});
  EXPECT_NE(last_target().find("resourceVersion=9&"), std::string::npos);
}

TEST_F(ReflectorTest, AnObjectOfUnknownVersionKeepsWhatWasKnown) {
  start_with_a_and_b();
  step({410, {}});
  const std::string unknown = service_json("a", "30", R"("apiVersion":"v7","kind":"Service",)");
  EXPECT_EQ(step({200, {list_json("31", {unknown})}}), "~a -b =");
  EXPECT_EQ(step({200, {event_line("MODIFIED", unknown)}}), "~a");
}

TEST_F(ReflectorTest, RetryAfterIsObeyed) {
  step({429, {}, {}, std::chrono::seconds(7)});
  EXPECT_EQ(wait, milliseconds(7000));
  step({503, {}});
  EXPECT_EQ(wait, milliseconds(1000));
  step({429, {R"({"kind":"Status","code":429,"details":{"retryAfterSeconds":3}})"}});
  EXPECT_EQ(wait, milliseconds(3000));
}

TEST_F(ReflectorTest, WaitsGrowWhileNothingGoesWell) {
  std::vector<int> waits;
  for (int i = 0; i < 8; ++i) {
    step({200, {}, connection_lost()});
    waits.push_back(static_cast<int>(wait.count()));
  }
  EXPECT_EQ(waits, (std::vector<int>{0, 200, 400, 800, 1600, 3200, 5000, 5000}));
}

TEST_F(ReflectorTest, AServerThatIsBackIsAskedAgainSoon) {
  start_with_a_and_b();
  for (int i = 0; i < 20; ++i) step({200, {}, connection_lost()});
  step({503, {}, {}, std::chrono::seconds(1)});
  EXPECT_EQ(wait, milliseconds(1000));
  step({410, {}});
  EXPECT_EQ(wait, milliseconds(200));
}

/// A list that succeeds is no reason to hurry when each watch fails at once.
TEST_F(ReflectorTest, ListsAndWatchesThatFailInTurnSlowDown) {
  start_with_a_and_b();
  for (const int expected : {0, 200, 400, 800}) {
    step({410, {}});
    EXPECT_EQ(wait, milliseconds(expected));
    step({200, {list_json("10", {})}});
  }
}

TEST_F(ReflectorTest, AnotherSelectorMeansANewList) {
  start_with_a_and_b();
  reflector->set_field_selector("metadata.name=b");
  EXPECT_FALSE(reflector->status().synced);
  EXPECT_EQ(step({200, {list_json("10", {service_json("b", "2")})}}), "-a =");
  EXPECT_NE(last_target().find("&fieldSelector=metadata.name%3Db"), std::string::npos);
  EXPECT_TRUE(reflector->status().synced);
}

TEST_F(ReflectorTest, NoSelectorMeansNothingUntilThereIsOne) {
  start_with_a_and_b();
  const auto asked = api.requests.size();
  reflector->set_field_selector(std::nullopt);
  EXPECT_FALSE(reflector->status().synced);
  EXPECT_GE(step(), std::chrono::hours(1));
  EXPECT_TRUE(words == "-a -b =" || words == "-b -a =") << words;
  EXPECT_TRUE(reflector->status().synced);
  EXPECT_EQ(api.requests.size(), asked) << "nothing is asked for";
  reflector->set_field_selector("metadata.name=b");
  EXPECT_EQ(step({200, {list_json("10", {service_json("b", "2")})}}), "+b =");
}

class StreamedListTest : public ReflectorTest {
 protected:
  StreamedListTest() {
    api.answers.clear();
    make_reflector("1.34");
  }
};

TEST_F(StreamedListTest, EndsWithTheMarkedBookmark) {
  EXPECT_EQ(step({200,
                  {event_line("ADDED", service_json("a", "1")),
                   event_line("ADDED", service_json("b", "2")), bookmark_line("10", true)}}),
            "+a +b =");
  EXPECT_EQ(last_target(),
            "/api/v1/services?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&"
            "allowWatchBookmarks=true&timeoutSeconds=450&labelSelector=%21x");
  step({200, {bookmark_line("11")}});
  EXPECT_NE(last_target().find("resourceVersion=10&"), std::string::npos);
}

TEST_F(StreamedListTest, IsNothingWithoutItsEnd) {
  EXPECT_EQ(step({200, {bookmark_line("10", true)}}), "=");
  step({410, {}});
  EXPECT_EQ(step({200, {event_line("ADDED", service_json("a", "11"))}, connection_lost()}), "");
  EXPECT_EQ(step({200, {bookmark_line("12", true)}}), "=");
}

TEST_F(StreamedListTest, TheFirstOneIsToldAsItComes) {
  EXPECT_EQ(step({200, {event_line("ADDED", service_json("a", "1"))}, connection_lost()}), "+a");
  EXPECT_FALSE(reflector->status().synced);
  EXPECT_EQ(step({200, {event_line("ADDED", service_json("b", "2")), bookmark_line("10", true)}}),
            "+b -a =");
}

TEST_F(StreamedListTest, TheFirstOneIsToldInParts) {
  Answer answer;
  for (int i = 0; i < 1000; ++i) {
    answer.pieces.push_back(event_line("ADDED", service_json(fmt::format("s{}", i), "1")));
  }
  answer.broken = connection_lost();
  const auto told = step(std::move(answer));
  EXPECT_EQ(std::ranges::count(told, '+'), 1000);
  EXPECT_GT(times_told, 10U) << "who takes them must not need room for all at once";
  EXPECT_LT(times_told, 50U) << "each time wakes somebody up";
}

TEST_F(StreamedListTest, RefusedFallsBackToPagesAtOnce) {
  api.answers.push_back({422, {status_json(422, "sendInitialEvents is forbidden")}});
  start_with_a_and_b();
  step({410, {}});
  step({200, {list_json("12", {})}});
  EXPECT_EQ(last_target(), "/api/v1/services?limit=500&labelSelector=%21x");
}

TEST_F(StreamedListTest, ServersThatNeverEndItAreAskedForPages) {
  const Error timeout{std::make_error_code(std::errc::timed_out), "deadline"};
  EXPECT_EQ(step({200, {event_line("ADDED", service_json("a", "1"))}, timeout}), "+a");
  EXPECT_EQ(step({200, {event_line("ADDED", service_json("a", "1"))}, timeout}), "");
  EXPECT_EQ(step({200, {list_json("10", {service_json("a", "1"), service_json("b", "2")})}}),
            "+b =");
}

TEST_F(StreamedListTest, AServerThatIsAwayIsStillAskedForThem) {
  for (int i = 0; i < 5; ++i) EXPECT_EQ(step({200, {}, connection_lost()}), "");
  EXPECT_EQ(step({200, {bookmark_line("10", true)}}), "=");
}

TEST_F(StreamedListTest, OverloadIsNoRefusal) {
  EXPECT_EQ(step({429, {}}), "");
  EXPECT_EQ(step({200, {bookmark_line("10", true)}}), "=");
}

}  // namespace
}  // namespace topolb::kube
