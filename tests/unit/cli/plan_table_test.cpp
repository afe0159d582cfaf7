// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <sstream>

#include "cli/plan_view.h"
#include "cli_run.h"

namespace topolb::cli {
namespace {

using core::ServicePortPlan;
using core::TrafficPlan;
using core::Verdict;

std::vector<SocketAddress> addresses(const std::string& prefix, int count) {
  std::vector<SocketAddress> result;
  for (int i = 1; i <= count; ++i) {
    result.push_back({IpAddress::parse(prefix + std::to_string(i)).value(), 8080});
  }
  return result;
}

TrafficPlan to_tier(const std::string& key, std::vector<SocketAddress> backends) {
  return {.verdict = Verdict::Forward,
          .tiers = {{key, std::move(backends)}},
          .terminating_tiers = {},
          .has_keys = !key.empty()};
}

std::string table_of(const PlanView& plan) {
  std::ostringstream out;
  print_plan_table(out, plan);
  return out.str();
}

TEST(PlanTable, HasARowForEachKindOfTraffic) {
  ServicePortPlan db;
  db.key = {{"default", "db"}, 5432, Protocol::TCP, Family::IPv4};
  ServicePortPlan web;
  web.key = {{"default", "web"}, 80, Protocol::TCP, Family::IPv4};
  web.internal = to_tier("topology.kubernetes.io/zone", addresses("10.1.0.", 7));
  web.external = to_tier("kubernetes.io/hostname", addresses("10.1.0.", 1));
  ServicePortPlan web_v6 = web;
  web_v6.key.family = Family::IPv6;
  web_v6.internal = to_tier("", addresses("2001:db8::", 2));
  web_v6.external = TrafficPlan{.verdict = Verdict::Drop, .tiers = {}, .terminating_tiers = {}};
  EXPECT_EQ(table_of({"n1", {db, web, web_v6}, {}}),
            "SERVICE      PORT       TRAFFIC   VERDICT  TIER      BACKENDS\n"
            "default/db   5432/TCP   internal  reject   -         -\n"
            "default/web  80/TCP     internal  forward  zone      10.1.0.1:8080 +6 more\n"
            "                        external  forward  hostname  10.1.0.1:8080\n"
            "             80/TCP v6  internal  forward  -         [2001:db8::1]:8080 +1 more\n"
            "                        external  drop     -         -\n");
}

TEST(PlanTable, ShowsProblemsBelow) {
  const PlanView plan{
      "n1",
      {},
      {{"File", "", "web.yaml", "InvalidManifest", "line 3 column 1: no value"},
       {"Service", "default", "db", "InvalidTopologyKeys",
        "17 topology keys, but at most 16 are allowed; connections to this Service are refused"}}};
  EXPECT_EQ(table_of(plan),
            "No Service to serve on node n1.\n"
            "\n"
            "2 problems:\n"
            "File     web.yaml    InvalidManifest\n"
            "    line 3 column 1: no value\n"
            "Service  default/db  InvalidTopologyKeys\n"
            "    17 topology keys, but at most 16 are allowed; connections to this Service\n"
            "      are refused\n");
}

// The longest names that Kubernetes takes, 63 characters each, and a key with a long prefix.
TEST(PlanTable, FitsEightyColumnsWhateverTheNames) {
  ServicePortPlan plan;
  plan.key = {{std::string(63, 'n'), std::string(63, 's')}, 65535, Protocol::SCTP, Family::IPv6};
  plan.internal = to_tier("a-team-of-the-company.example.com/a-label-key-of-some-length",
                          addresses("2001:db8:1111:2222:3333:4444:5555:", 9));
  const std::string table = table_of({"n1", {plan}, {}});
  EXPECT_LE(widest_line(table), 80U) << table;
  EXPECT_NE(table.find("+8"), std::string::npos) << table;
}

TEST(PlanTable, ShortensWellKnownKeysOnly) {
  EXPECT_EQ(short_key("kubernetes.io/hostname"), "hostname");
  EXPECT_EQ(short_key("topology.kubernetes.io/zone"), "zone");
  EXPECT_EQ(short_key("topology.kubernetes.io/region"), "region");
  EXPECT_EQ(short_key("example.com/rack"), "example.com/rack");
  EXPECT_EQ(short_key("*"), "*");
  EXPECT_EQ(short_key("zone"), "\"zone\"") << "a label of that very name is told apart";
}

}  // namespace
}  // namespace topolb::cli
