// SPDX-License-Identifier: Apache-2.0
// The JSON of `topolb plan`, to the letter. Source: design.md 4 (keys, order, null), 3.2 and 3.3.
#include <gtest/gtest.h>

#include <sstream>

#include "cli/plan_view.h"

namespace topolb::cli {
namespace {

using core::FrontendKind;
using core::ServicePortPlan;
using core::TrafficPlan;
using core::Verdict;

SocketAddress at(const std::string& address, std::uint16_t port) {
  return {IpAddress::parse(address).value(), port};
}

ServicePortPlan web() {
  ServicePortPlan plan;
  plan.key = {{"default", "web"}, 80, Protocol::TCP, Family::IPv4};
  plan.port_name = "http";
  plan.frontends = {{FrontendKind::ClusterIP, IpAddress::parse("10.96.0.10").value(), 80}};
  return plan;
}

std::string json_of(const PlanView& plan) {
  std::ostringstream out;
  print_plan_json(out, plan);
  return out.str();
}

/// The text of "internal" for this traffic.
std::string traffic_json(const TrafficPlan& traffic) {
  ServicePortPlan plan = web();
  plan.internal = traffic;
  const std::string json = json_of({"n1", {plan}, {}});
  const std::string key = R"("internal": )";
  const auto begin = json.find(key) + key.size();
  return json.substr(begin, json.find(R"(, "external")", begin) - begin);
}

TEST(PlanJson, IsTheExampleOfTheContract) {
  ServicePortPlan plan = web();
  plan.internal = {.verdict = Verdict::Forward,
                   .tiers = {{"kubernetes.io/hostname", {}},
                             {"topology.kubernetes.io/zone", {at("10.1.0.5", 8080)}}},
                   .terminating_tiers = {},
                   .has_keys = true};
  const PlanView view{
      "n1",
      {plan},
      {{"Service", "default", "db", "InvalidTopologyKeys", "key \"a b\" is no label key"}}};
  EXPECT_EQ(json_of(view),
            R"({"node": "n1",
 "services": [
  {"namespace": "default", "name": "web", )"
            R"("port": {"name": "http", "number": 80, "protocol": "TCP"}, "family": "IPv4", )"
            R"("frontends": [{"kind": "ClusterIP", "address": "10.96.0.10", "port": 80}], )"
            R"("internal": {"verdict": "forward", "tier": "topology.kubernetes.io/zone", )"
            R"("backends": ["10.1.0.5:8080"], )"
            R"("tiers": [{"key": "kubernetes.io/hostname", "backends": []}, )"
            R"({"key": "topology.kubernetes.io/zone", "backends": ["10.1.0.5:8080"]}]}, )"
            R"("external": null}],
 "problems": [
  {"kind": "Service", "namespace": "default", "name": "db", "reason": "InvalidTopologyKeys", )"
            R"("message": "key \"a b\" is no label key"}]}
)");
}

TEST(PlanJson, OfNothingHasEmptyLists) {
  EXPECT_EQ(json_of({"n1", {}, {}}),
            "{\"node\": \"n1\",\n \"services\": [],\n \"problems\": []}\n");
}

struct TrafficCase {
  const char* name;
  TrafficPlan traffic;
  const char* json;
};

class PlanJsonTraffic : public testing::TestWithParam<TrafficCase> {};

TEST_P(PlanJsonTraffic, IsExact) { EXPECT_EQ(traffic_json(GetParam().traffic), GetParam().json); }

INSTANTIATE_TEST_SUITE_P(
    Cases, PlanJsonTraffic,
    testing::Values(
        TrafficCase{"WithoutKeysNoTierIsNamed",
                    {Verdict::Forward, {{"", {at("10.1.0.5", 80)}}}, {}, false},
                    R"({"verdict": "forward", "tier": null, "backends": ["10.1.0.5:80"], )"
                    R"("tiers": []})"},
        TrafficCase{"Drop",
                    {Verdict::Drop, {}, {}, false},
                    R"({"verdict": "drop", "tier": null, "backends": [], "tiers": []})"},
        TrafficCase{"RejectOfInvalidKeys",
                    {Verdict::Reject, {}, {}, false},
                    R"({"verdict": "reject", "tier": null, "backends": [], "tiers": []})"},
        TrafficCase{"RejectWithKeysNamesThem",
                    {Verdict::Reject, {{"a", {}}, {"b", {}}}, {}, true},
                    R"({"verdict": "reject", "tier": null, "backends": [], "tiers": )"
                    R"([{"key": "a", "backends": []}, {"key": "b", "backends": []}]})"},
        TrafficCase{"BackendsAreSortedAsStrings",
                    {Verdict::Forward,
                     {{"*", {at("10.1.0.5", 80), at("10.1.0.10", 80), at("10.1.0.10", 8080)}}},
                     {},
                     true},
                    R"({"verdict": "forward", "tier": "*", )"
                    R"("backends": ["10.1.0.10:80", "10.1.0.10:8080", "10.1.0.5:80"], )"
                    R"("tiers": [{"key": "*", "backends": )"
                    R"(["10.1.0.10:80", "10.1.0.10:8080", "10.1.0.5:80"]}]})"},
        TrafficCase{
            "ReadyTiersHideTerminatingOnes",
            {Verdict::Forward,
             {{"a", {}}, {"b", {at("10.1.0.1", 80)}}},
             {{"a", {at("10.1.0.2", 80)}}, {"b", {}}},
             true},
            R"({"verdict": "forward", "tier": "b", "backends": ["10.1.0.1:80"], "tiers": )"
            R"([{"key": "a", "backends": []}, {"key": "b", "backends": ["10.1.0.1:80"]}]})"},
        TrafficCase{
            "TheFallbackShowsItsOwnTiers",
            {Verdict::Forward,
             {{"a", {}}, {"b", {}}},
             {{"a", {}}, {"b", {at("10.1.0.2", 80)}}},
             true},
            R"({"verdict": "forward", "tier": "b", "backends": ["10.1.0.2:80"], "tiers": )"
            R"([{"key": "a", "backends": []}, {"key": "b", "backends": ["10.1.0.2:80"]}]})"},
        TrafficCase{"IPv6HasBrackets",
                    {Verdict::Forward, {{"", {at("2001:db8::1", 80)}}}, {}, false},
                    R"({"verdict": "forward", "tier": null, "backends": ["[2001:db8::1]:80"], )"
                    R"("tiers": []})"}),
    [](const auto& info) { return info.param.name; });

TEST(PlanJson, ExternalIsThereWithAnExternalFrontend) {
  ServicePortPlan plan = web();
  plan.frontends.push_back({FrontendKind::NodePort, IpAddress::unspecified(Family::IPv4), 30080});
  plan.external = TrafficPlan{.verdict = Verdict::Drop, .tiers = {}, .terminating_tiers = {}};
  // Not in the JSON: what this node's own sockets get.
  plan.node_external =
      TrafficPlan{.verdict = Verdict::Reject, .tiers = {}, .terminating_tiers = {}};
  const std::string json = json_of({"n1", {plan}, {}});
  EXPECT_NE(json.find(R"({"kind": "NodePort", "address": "0.0.0.0", "port": 30080})"),
            std::string::npos);
  EXPECT_NE(
      json.find(R"("external": {"verdict": "drop", "tier": null, "backends": [], "tiers": []}})"),
      std::string::npos);
  EXPECT_EQ(json.find("node_external"), std::string::npos);
}

}  // namespace
}  // namespace topolb::cli
