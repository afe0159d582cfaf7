// SPDX-License-Identifier: Apache-2.0
// Planning with topologyKeys. Sources: design.md 3.2 and 3.3; KEP-536 (semantics and the unit
// tests that it requires); KEP-1669 (serving-terminating endpoints).
#include <gtest/gtest.h>

#include <ostream>

#include "cluster_text.h"
#include "core/plan.h"

namespace topolb::core {
namespace {

using test::endpoint;
using test::MergedEndpoints;
using test::Nodes;
using test::text_of;
using test::web_service;
using test::web_slice;

constexpr const char* kHost = "kubernetes.io/hostname";
constexpr const char* kZone = "topology.kubernetes.io/zone";

// Three zones of two nodes; racks "a" and "b" exist in every zone; n6 has empty labels.
const Nodes& nodes() {
  static const Nodes all({
      "n1: kubernetes.io/hostname=n1 topology.kubernetes.io/zone=z1 region=r1 rack=a case=A",
      "n2: kubernetes.io/hostname=n2 topology.kubernetes.io/zone=z1 region=r1 rack=b case=a",
      "n3: kubernetes.io/hostname=n3 topology.kubernetes.io/zone=z2 region=r1 rack=a",
      "n4: kubernetes.io/hostname=n4 topology.kubernetes.io/zone=z2 region=r1 rack=b",
      "n5: kubernetes.io/hostname=n5 topology.kubernetes.io/zone=z3 region=r2",
      "n6: kubernetes.io/hostname=other topology.kubernetes.io/zone=z3 rack=",
      "n7: kubernetes.io/hostname=other rack=",
      "n8:",
  });
  return all;
}

struct Case {
  std::string rule;
  std::string here;
  std::vector<std::string> keys;
  std::vector<std::string> endpoints;
  std::string expected;
};

std::ostream& operator<<(std::ostream& out, const Case& one) { return out << one.rule; }

class KeyedTraffic : public testing::TestWithParam<Case> {};

TEST_P(KeyedTraffic, FollowsTheKeys) {
  Service service = web_service();
  service.topology_keys_spec = GetParam().keys;
  service.ports[0].node_port = 30080;
  const std::vector<EndpointSlice> slices{web_slice(GetParam().endpoints)};
  const ServicePlan plan =
      plan_service(service, MergedEndpoints(slices), nodes().view(GetParam().here));
  ASSERT_EQ(plan.ports.size(), 1U);
  const ServicePortPlan& port = plan.ports[0];
  EXPECT_EQ(text_of(port.internal), GetParam().expected);
  EXPECT_EQ(port.internal.has_keys, !GetParam().keys.empty());
  // The keys apply to external traffic too, with the labels of the receiving node.
  EXPECT_EQ(port.external, port.internal);
  EXPECT_EQ(port.node_external, port.internal);
  EXPECT_TRUE(plan.problems.empty());
}

const std::vector<std::string> kOnEachNode{"1@n1", "2@n2", "3@n3", "4@n4", "5@n5", "6@n6"};

INSTANTIATE_TEST_SUITE_P(
    Kep536RequiredTests, KeyedTraffic,
    testing::Values(
        Case{"no keys: all", "n1", {}, kOnEachNode, "forward: 1 2 3 4 5 6"},
        Case{"no keys, unknown node: all", "nowhere", {}, kOnEachNode, "forward: 1 2 3 4 5 6"},
        Case{"single hard key",
             "n1",
             {kZone},
             kOnEachNode,
             std::string("forward ") + kZone + ": 1 2"},
        Case{"single hard key, no match", "n1", {kHost}, {"2@n2", "3@n3"}, "reject"},
        Case{"single hard key, other label", "n3", {"rack"}, kOnEachNode, "forward rack: 1 3"},
        Case{"single *", "n1", {"*"}, kOnEachNode, "forward *: 1 2 3 4 5 6"},
        Case{"single *, no endpoints", "n1", {"*"}, {}, "reject"},
        Case{"multiple hard, first matches",
             "n1",
             {"rack", kZone},
             kOnEachNode,
             "forward rack: 1 3"},
        Case{"multiple hard, second matches",
             "n2",
             {kHost, "rack"},
             {"1@n1", "4@n4"},
             "forward rack: 4"},
        Case{"multiple hard, none matches", "n5", {kHost, kZone}, {"1@n1", "2@n2"}, "reject"},
        Case{"multiple and *, first matches",
             "n1",
             {kHost, kZone, "*"},
             kOnEachNode,
             std::string("forward ") + kHost + ": 1"},
        Case{"multiple and *, second matches",
             "n1",
             {kHost, kZone, "*"},
             {"2@n2", "3@n3"},
             std::string("forward ") + kZone + ": 2"},
        Case{"multiple and *, * matches",
             "n1",
             {kHost, kZone, "*"},
             {"3@n3", "4@n4"},
             "forward *: 3 4"}));

INSTANTIATE_TEST_SUITE_P(
    Design32, KeyedTraffic,
    testing::Values(
        Case{"keys are independent: the second need not match the first",
             "n1",
             {kZone, "rack"},
             {"3@n3", "4@n4"},
             "forward rack: 3"},
        Case{"a label that this node lacks is skipped",
             "n5",
             {"rack", "region"},
             {"1@n1", "5@n5"},
             "forward region: 5"},
        Case{"a label that the backend's node lacks does not match",
             "n1",
             {"rack"},
             {"5@n5"},
             "reject"},
        Case{"a label missing on both sides does not match", "n5", {"rack"}, {"8@n8"}, "reject"},
        Case{"an empty value on both sides matches",
             "n6",
             {"rack"},
             {"1@n1", "7@n7"},
             "forward rack: 7"},
        Case{"an empty value is no missing label", "n6", {"rack"}, {"5@n5", "8@n8"}, "reject"},
        Case{"one node without the label disables nothing",
             "n1",
             {kZone},
             {"2@n2", "7@n7"},
             std::string("forward ") + kZone + ": 2"},
        Case{"hostname compares the label, not the name",
             "n6",
             {kHost},
             {"1@n1", "7@n7"},
             std::string("forward ") + kHost + ": 7"},
        Case{"hostname label missing: the node's own backend is none",
             "n8",
             {kHost},
             {"8@n8"},
             "reject"},
        Case{"this node unknown: only *",
             "nowhere",
             {kHost, kZone, "*"},
             {"1@nowhere zone=z1"},
             "forward *: 1"},
        Case{"this node unknown: hard keys reject",
             "nowhere",
             {kHost, kZone},
             {"1@nowhere zone=z1"},
             "reject"},
        Case{"backend's node unknown: its zone stands for the zone",
             "n1",
             {kHost, kZone},
             {"1@gone zone=z1", "2@gone zone=z2"},
             std::string("forward ") + kZone + ": 1"},
        Case{"backend's node unknown: its zone stands for no other key",
             "n1",
             {"rack", "zone", "region"},
             {"1@gone zone=a", "2@gone zone=r1"},
             "reject"},
        Case{"backend's node known without zone: its own zone does not count",
             "n1",
             {kZone},
             {"8@n8 zone=z1"},
             "reject"},
        Case{"backend's node known in another zone: that one counts",
             "n1",
             {kZone},
             {"3@n3 zone=z1"},
             "reject"},
        Case{"endpoint without node matches *", "n1", {kHost, "*"}, {"1"}, "forward *: 1"},
        Case{"endpoint without node matches zone by its zone",
             "n1",
             {kHost, kZone},
             {"1 zone=z1", "2 zone=z2"},
             std::string("forward ") + kZone + ": 1"},
        Case{"endpoint without node and zone matches no label",
             "n8",
             {kHost, kZone, "rack"},
             {"1"},
             "reject"},
        Case{"values are compared exactly", "n1", {"case"}, {"2@n2"}, "reject"},
        Case{"hints are not used with keys",
             "n1",
             {"*"},
             {"1@n1 for-nodes=n1 for-zones=z1", "3@n3 for-nodes=n3 for-zones=z2"},
             "forward *: 1 3"}));

INSTANTIATE_TEST_SUITE_P(
    Design33ReadyBeforeTerminating, KeyedTraffic,
    testing::Values(
        Case{"a farther ready one before a nearer terminating one",
             "n1",
             {kHost, kZone, "*"},
             {"1@n1 terminating", "3@n3"},
             "forward *: 3"},
        Case{"no ready one matches: the nearest terminating one",
             "n1",
             {kHost, kZone},
             {"1@n1 terminating", "2@n2 terminating", "3@n3"},
             std::string("forward ") + kHost + ": 1"},
        Case{"terminating ones fall through the keys as well",
             "n1",
             {kHost, kZone},
             {"2@n2 terminating", "3@n3 terminating"},
             std::string("forward ") + kZone + ": 2"},
        Case{"terminating ones that match nothing", "n1", {kHost}, {"3@n3 terminating"}, "reject"},
        Case{"not ready, or no longer serving: never",
             "n1",
             {"*"},
             {"1@n1 unready", "2@n2 gone", "3@n3 serving"},
             "reject"},
        Case{"ready while terminating is ready",
             "n1",
             {kHost, "*"},
             {"1@n1 ready-terminating", "2@n2"},
             std::string("forward ") + kHost + ": 1"},
        Case{"an unready one does not hold its tier",
             "n1",
             {kHost, kZone},
             {"1@n1 unready", "2@n2"},
             std::string("forward ") + kZone + ": 2"}));

TEST(KeyedPlan, ListsEveryTierAndTheTerminatingOnes) {
  Service service = web_service();
  service.topology_keys_spec = {kHost, kZone, "*"};
  const std::vector<EndpointSlice> slices{
      web_slice({"2@n2", "1@n3", "4@n2 terminating", "3@n4 terminating", "9@n1 unready"})};
  const auto plan = plan_service(service, MergedEndpoints(slices), nodes().view("n1"));
  const auto backend = [](const char* number) {
    return SocketAddress{endpoint(number).address, 8080};
  };
  const TrafficPlan& internal = plan.ports.at(0).internal;
  const std::vector<Tier> ready{
      {kHost, {}}, {kZone, {backend("2")}}, {"*", {backend("1"), backend("2")}}};
  const std::vector<Tier> terminating{
      {kHost, {}}, {kZone, {backend("4")}}, {"*", {backend("3"), backend("4")}}};
  EXPECT_EQ(internal.tiers, ready);
  EXPECT_EQ(internal.terminating_tiers, terminating);
  EXPECT_EQ(internal.effective(), &internal.tiers[1]);
}

TEST(KeyedPlan, RejectStillListsTheTiers) {
  Service service = web_service();
  service.topology_keys_spec = {kHost, kZone};
  const auto plan = plan_service(service, MergedEndpoints({}), nodes().view("n1"));
  const std::vector<Tier> empty{{kHost, {}}, {kZone, {}}};
  EXPECT_EQ(plan.ports.at(0).internal.tiers, empty);
  EXPECT_TRUE(plan.ports[0].internal.terminating_tiers.empty());
  EXPECT_EQ(plan.ports[0].internal.effective(), nullptr);
}

struct PrecedenceCase {
  std::string rule;
  std::string keys;
  bool internal_local;
  bool external_local;
  std::string internal, external, node_external;
  std::string problem;
};

std::ostream& operator<<(std::ostream& out, const PrecedenceCase& one) { return out << one.rule; }

class KeysAndPolicies : public testing::TestWithParam<PrecedenceCase> {};

TEST_P(KeysAndPolicies, HaveOnePrecedence) {
  Service service = web_service();
  service.topology_keys_annotation = GetParam().keys;
  service.internal_local = GetParam().internal_local;
  service.external_local = GetParam().external_local;
  service.load_balancer_ips = {test::ip("192.0.2.1")};
  const std::vector<EndpointSlice> slices{web_slice({"1@n1", "2@n2", "3@n3"})};
  const auto plan = plan_service(service, MergedEndpoints(slices), nodes().view("n1"));
  const ServicePortPlan& port = plan.ports.at(0);
  EXPECT_EQ(text_of(port.internal), GetParam().internal);
  EXPECT_EQ(text_of(port.external.value()), GetParam().external);
  EXPECT_EQ(text_of(port.node_external.value()), GetParam().node_external);
  ASSERT_EQ(plan.problems.size(), GetParam().problem.empty() ? 0U : 1U);
  if (GetParam().problem.empty()) return;
  EXPECT_EQ(plan.problems[0].reason, GetParam().problem);
  EXPECT_EQ(plan.problems[0].kind, "Service");
  EXPECT_EQ(plan.problems[0].namespace_name, "default");
  EXPECT_EQ(plan.problems[0].name, "web");
}

INSTANTIATE_TEST_SUITE_P(
    Design32And33, KeysAndPolicies,
    testing::Values(PrecedenceCase{"keys and Cluster", "rack", false, false, "forward rack: 1 3",
                                   "forward rack: 1 3", "forward rack: 1 3", ""},
                    PrecedenceCase{"internal Local wins for internal traffic", "rack", true, false,
                                   "forward: 1", "forward rack: 1 3", "forward rack: 1 3",
                                   "TopologyKeysIgnored"},
                    PrecedenceCase{"external Local is a conflict", "rack", false, true, "reject",
                                   "reject", "reject", "TopologyKeysConflict"},
                    PrecedenceCase{"both Local is a conflict", "rack", true, true, "reject",
                                   "reject", "reject", "TopologyKeysConflict"},
                    PrecedenceCase{"invalid keys reject all", "rack,rack", false, false, "reject",
                                   "reject", "reject", "InvalidTopologyKeys"},
                    PrecedenceCase{"invalid keys reject Local too", "*,rack", true, false, "reject",
                                   "reject", "reject", "InvalidTopologyKeys"},
                    PrecedenceCase{"no keys, both Local", "", true, true, "forward: 1",
                                   "forward: 1", "forward: 1 2 3", ""},
                    PrecedenceCase{"no keys, external Local", "", false, true, "forward: 1 2 3",
                                   "forward: 1", "forward: 1 2 3", ""}));

TEST(InvalidKeys, HaveNoTiers) {
  Service service = web_service();
  service.topology_keys_annotation = "[";
  const std::vector<EndpointSlice> slices{web_slice({"1@n1", "2@n2 terminating"})};
  const auto plan = plan_service(service, MergedEndpoints(slices), nodes().view("n1"));
  EXPECT_EQ(plan.ports.at(0).internal, TrafficPlan{});
  EXPECT_EQ(plan.ports[0].internal.verdict, Verdict::Reject);
  EXPECT_FALSE(plan.ports[0].frontends.empty());
}

}  // namespace
}  // namespace topolb::core
