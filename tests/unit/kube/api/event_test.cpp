// SPDX-License-Identifier: Apache-2.0
#include "kube/event.h"

#include <cpprest/json.h>
#include <gtest/gtest.h>

#include "kube/micro_time.h"

namespace topolb::kube {
namespace {

using web::json::value;

const core::Problem kWrong{"Service", "default", "web", "InvalidTopologyKeys", "a \"key\" twice"};
const EventObject kWeb{"uid-1", "7"};
const EventAuthor kAuthor{
    "n1", std::chrono::system_clock::time_point(std::chrono::microseconds(1'790'000'000'000'042))};

TEST(MicroTime, HasSixDigitsAfterTheSecond) {
  EXPECT_EQ(micro_time_text(kAuthor.now), "2026-09-21T14:13:20.000042Z");
  EXPECT_EQ(micro_time_text(std::chrono::system_clock::time_point(std::chrono::microseconds(-1))),
            "1969-12-31T23:59:59.999999Z");
}

TEST(Event, HangsOnItsObject) {
  const auto event = value::parse(event_json(kWrong, kWeb, kAuthor));
  EXPECT_EQ(event.at("metadata").at("namespace").as_string(), "default");
  EXPECT_EQ(event.at("note").as_string(), kWrong.message);
  EXPECT_EQ(event.at("reason").as_string(), kWrong.reason);
  EXPECT_EQ(event.at("type").as_string(), "Warning");
  EXPECT_EQ(event.at("reportingInstance").as_string(), "n1");
  EXPECT_EQ(event.at("eventTime").as_string(), "2026-09-21T14:13:20.000042Z");
  EXPECT_EQ(event.at("regarding"),
            value::parse(R"({"kind":"Service","namespace":"default","name":"web","uid":"uid-1",)"
                         R"("apiVersion":"v1","resourceVersion":"7"})"));
}

/// Its Event is in the namespace "default", and says of none of its own.
TEST(Event, OfANodeHasNoNamespaceToHangOn) {
  const auto event = value::parse(event_json({"Node", "", "n1", "MapFull", "full"}, kWeb, kAuthor));
  EXPECT_EQ(event.at("metadata").at("namespace").as_string(), "default");
  EXPECT_FALSE(event.at("regarding").has_field("namespace"));
}

TEST(Event, IsNamedAfterProblemAndObject) {
  const auto name = event_name(kWrong, kWeb);
  EXPECT_TRUE(name.starts_with("web.")) << name;
  EXPECT_EQ(name, event_name(kWrong, {"uid-1", "8"})) << "another version is the same object";
  EXPECT_NE(name, event_name(kWrong, {"uid-2", "7"}));
  core::Problem other = kWrong;
  other.message += "!";
  EXPECT_NE(name, event_name(other, kWeb));
  other = kWrong;
  other.reason = "DuplicatePort";
  EXPECT_NE(name, event_name(other, kWeb));
}

TEST(Event, FitsIntoWhatTheServerAccepts) {
  core::Problem longest{"Node", "", std::string(200, 'n') + std::string(53, '.'), "R", ""};
  for (int i = 0; i < 600; ++i) longest.message += "\u00e9";
  const auto event =
      value::parse(event_json(longest, kWeb, {.node_name = longest.name, .now = kAuthor.now}));
  EXPECT_EQ(event.at("note").as_string().size(), 1024U);
  EXPECT_EQ(event.at("reportingInstance").as_string().size(), 128U);
  const auto name = event.at("metadata").at("name").as_string();
  EXPECT_EQ(name.substr(0, 202), std::string(200, 'n') + "." + name[201]) << "no dots in a row";
  longest.message.insert(0, "x");
  EXPECT_EQ(value::parse(event_json(longest, kWeb, kAuthor)).at("note").as_string().size(), 1023U)
      << "cut between two characters";
}

TEST(Event, IsOfKindsThatTheServerKnowsOnly) {
  EXPECT_TRUE(can_have_event(kWrong));
  EXPECT_FALSE(can_have_event({"File", "", "a.yaml", "Unreadable", ""}));
  EXPECT_FALSE(can_have_event({"Service", "default", "", "NoName", ""}));
}

}  // namespace
}  // namespace topolb::kube
