// SPDX-License-Identifier: Apache-2.0
// Watches: what breaks one, and where the next one begins. Source: Kubernetes API concepts,
// "Efficient detection of changes"; KEP-956 (bookmarks).
#include "reflector_fixture.h"

namespace topolb::kube {
namespace {

using std::chrono::milliseconds;

bool has(const std::string& target, const std::string& part) {
  return target.find(part) != std::string::npos;
}

TEST_F(ReflectorTest, EventsBecomeChanges) {
  start_with_a_and_b();
  EXPECT_EQ(step({200,
                  {event_line("ADDED", service_json("c", "11")) +
                   event_line("MODIFIED", service_json("a", "12")) +
                   event_line("DELETED", service_json("b", "13"))}}),
            "+c +a -b");
  EXPECT_EQ(wait, milliseconds(0));
  step({200, {bookmark_line("14")}});
  EXPECT_TRUE(has(last_target(), "resourceVersion=13&"));
}

TEST_F(ReflectorTest, ALineMayBeCutAnywhere) {
  start_with_a_and_b();
  const std::string line = event_line("MODIFIED", service_json("a", "11"));
  for (std::size_t cut = 0; cut <= line.size(); ++cut) {
    EXPECT_EQ(step({200, {line.substr(0, cut), line.substr(cut) + bookmark_line("10")}}), "+a")
        << cut;
    ASSERT_EQ(step({200, {bookmark_line("10")}}), "");
  }
}

TEST_F(ReflectorTest, ALineWithoutEndIsNoEvent) {
  start_with_a_and_b();
  const std::string line = event_line("DELETED", service_json("a", "12"));
  for (std::size_t cut = 1; cut + 1 < line.size(); ++cut) {
    step({410, {}});
    ASSERT_EQ(step({200, {list_json("11", {service_json("a", "1"), service_json("b", "2")})}}),
              "=");
    EXPECT_EQ(step({200, {bookmark_line("11"), line.substr(0, cut)}}), "") << cut;
    EXPECT_EQ(step({200, {bookmark_line("11")}}), "");
    ASSERT_TRUE(has(last_target(), "resourceVersion=11&")) << cut;
  }
}

TEST_F(ReflectorTest, ABrokenWatchGoesOnWhereItWas) {
  start_with_a_and_b();
  EXPECT_EQ(step({200, {event_line("MODIFIED", service_json("a", "11"))}, connection_lost()}),
            "+a");
  EXPECT_EQ(wait, milliseconds(0));
  EXPECT_EQ(step({200, {event_line("DELETED", service_json("a", "12"))}}), "-a");
  EXPECT_TRUE(has(last_target(), "resourceVersion=11&"));
}

TEST_F(ReflectorTest, BookmarksMoveTheVersionOn) {
  start_with_a_and_b();
  step({200, {bookmark_line("50")}, connection_lost()});
  step({200, {bookmark_line("51")}});
  EXPECT_TRUE(has(last_target(), "resourceVersion=50&"));
}

TEST_F(ReflectorTest, GoneMeansANewList) {
  start_with_a_and_b();
  const std::vector<Answer> gone{{410, {status_json(410, "too old resource version")}},
                                 {200, {event_line("ERROR", status_json(410, "too old"))}}};
  for (const Answer& answer : gone) {
    EXPECT_EQ(step(answer), "");
    step({200, {list_json("10", {service_json("a", "1"), service_json("b", "2")})}});
    EXPECT_EQ(last_target(), "/api/v1/services?limit=500&labelSelector=%21x");
  }
}

TEST_F(ReflectorTest, ErrorEventsOfOtherCodesKeepTheVersion) {
  start_with_a_and_b();
  EXPECT_EQ(step({200, {event_line("ERROR", status_json(500, "etcd hiccup"))}}), "");
  EXPECT_NE(reflector->status().error.find("etcd hiccup"), std::string::npos);
  step({200, {bookmark_line("11")}});
  EXPECT_TRUE(has(last_target(), "resourceVersion=10&"));
}

TEST_F(ReflectorTest, RepeatedAndStaleEventsChangeNothing) {
  start_with_a_and_b();
  ASSERT_EQ(step({200,
                  {event_line("MODIFIED", service_json("a", "20")),
                   event_line("DELETED", service_json("b", "21"))}}),
            "+a -b");
  EXPECT_EQ(step({200, {event_line("MODIFIED", service_json("a", "15"))}}), "");  // older
  EXPECT_EQ(step({200, {event_line("DELETED", service_json("a", "16"))}}), "");   // of before
  EXPECT_EQ(step({200, {event_line("ADDED", service_json("b", "2"))}}), "");      // resurrection
  EXPECT_EQ(step({200, {event_line("DELETED", service_json("b", "21"))}}), "");   // again
  ASSERT_EQ(step({200, {bookmark_line("25")}}), "");
  EXPECT_EQ(step({200, {event_line("ADDED", service_json("b", "2"))}}), "");
  EXPECT_EQ(step({200, {event_line("ADDED", service_json("b", "26"))}}), "+b");
}

TEST_F(ReflectorTest, AStaleEventDoesNotMoveTheVersionBack) {
  start_with_a_and_b();
  step({200,
        {event_line("MODIFIED", service_json("a", "20")),
         event_line("MODIFIED", service_json("b", "12"))}});
  step({200, {bookmark_line("21")}});
  EXPECT_TRUE(has(last_target(), "resourceVersion=20&"));
}

struct BadLine {
  const char* name;
  std::string line;
};

class BadLineTest : public ReflectorTest, public testing::WithParamInterface<BadLine> {};

/// The rest of the stream is not read: what the line was about is not known. After three tries at
/// the same version, the list tells.
TEST_P(BadLineTest, IsNotSkipped) {
  start_with_a_and_b();
  const Answer answer{200, {GetParam().line + event_line("DELETED", service_json("a", "30"))}};
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(step(answer), "");
    EXPECT_TRUE(has(last_target(), "resourceVersion=10&"));
  }
  EXPECT_EQ(step({200, {list_json("31", {service_json("b", "2")})}}), "-a =");
}

INSTANTIATE_TEST_SUITE_P(
    Lines, BadLineTest,
    testing::Values(BadLine{"NoJson", "no json\n"}, BadLine{"NoObject", "{\"type\":\"ADDED\"}\n"},
                    BadLine{"NoType", "{\"object\":{}}\n"},
                    BadLine{"UnknownType", event_line("RENAMED", service_json("a", "11"))},
                    BadLine{"BookmarkWithoutVersion", event_line("BOOKMARK", "{\"metadata\":{}}")},
                    BadLine{"CutObject", "{\"type\":\"ADDED\",\"object\":{\"kind\":\"Serv\n"}),
    [](const auto& tested) { return tested.param.name; });

TEST_F(ReflectorTest, AWatchThatEndsAtOnceSlowsDown) {
  start_with_a_and_b();
  step({200, {}});
  step({200, {}});
  EXPECT_EQ(wait, milliseconds(200));
}

TEST_F(ReflectorTest, OverloadAtAWatchNeverCausesAList) {
  start_with_a_and_b();
  for (int i = 0; i < 10; ++i) {
    step({429, {}});
    EXPECT_TRUE(has(last_target(), "resourceVersion=10&"));
    EXPECT_GE(wait, milliseconds(1000));
  }
}

TEST_F(ReflectorTest, AnObjectOfUnknownVersionIsStillDeleted) {
  start_with_a_and_b();
  EXPECT_EQ(step({200,
                  {event_line("DELETED",
                              service_json("a", "11", R"("apiVersion":"v7","kind":"Service",)"))}}),
            "-a");
}

TEST_F(ReflectorTest, ContactIsWhenBytesLastCame) {
  now += std::chrono::hours(1);
  start_with_a_and_b();
  EXPECT_EQ(reflector->status().last_contact, now);
  now += std::chrono::hours(1);
  step({200, {}, connection_lost()});
  EXPECT_EQ(reflector->status().last_contact, now - std::chrono::hours(1));
  step({200, {bookmark_line("11")}});
  EXPECT_EQ(reflector->status().last_contact, now);
}

/// A watch lasts for minutes: it must not look broken all the while.
TEST_F(ReflectorTest, AnErrorIsOverOnceBytesCome) {
  start_with_a_and_b();
  step({200, {}, connection_lost()});
  EXPECT_NE(reflector->status().error, "");
  std::string during = "not asked";
  api.on_piece = [&] { during = reflector->status().error; };
  step({200, {bookmark_line("11"), bookmark_line("12")}, connection_lost()});
  EXPECT_EQ(during, "");
}

}  // namespace
}  // namespace topolb::kube
