// SPDX-License-Identifier: Apache-2.0
// Planning without topologyKeys. Sources: design.md 3.3; kube-proxy pkg/proxy/topology.go
// (CategorizeEndpoints, topologyModeFromHints); KEP-2086 (internalTrafficPolicy), KEP-2433 and
// KEP-3015 (hints), KEP-1669 (terminating endpoints); kubernetes/kubernetes#106507.
#include <gtest/gtest.h>

#include <ostream>

#include "cluster_text.h"
#include "core/plan.h"

namespace topolb::core {
namespace {

using test::MergedEndpoints;
using test::Nodes;
using test::text_of;
using test::web_service;
using test::web_slice;

struct Case {
  std::string rule;
  std::string here;
  std::vector<std::string> endpoints;
  std::string cluster;
  std::string local;
};

std::ostream& operator<<(std::ostream& out, const Case& one) { return out << one.rule; }

class UnkeyedTraffic : public testing::TestWithParam<Case> {};

TEST_P(UnkeyedTraffic, FollowsThePolicies) {
  const Nodes nodes(
      {"n1: topology.kubernetes.io/zone=z1", "n2: topology.kubernetes.io/zone=z2", "n3: rack=a"});
  const std::vector<EndpointSlice> slices{web_slice(GetParam().endpoints)};
  // The two policies are independent.
  for (const bool internal_local : {false, true}) {
    for (const bool external_local : {false, true}) {
      Service service = web_service();
      service.ports[0].node_port = 30080;
      service.internal_local = internal_local;
      service.external_local = external_local;
      const auto plan = plan_service(service, MergedEndpoints(slices), nodes.view(GetParam().here));
      const ServicePortPlan& port = plan.ports.at(0);
      EXPECT_EQ(text_of(port.internal), internal_local ? GetParam().local : GetParam().cluster);
      EXPECT_EQ(text_of(port.external.value()),
                external_local ? GetParam().local : GetParam().cluster);
      // Cluster policy whatever the policies say.
      EXPECT_EQ(text_of(port.node_external.value()), GetParam().cluster);
      EXPECT_FALSE(port.internal.has_keys);
      EXPECT_TRUE(plan.problems.empty());
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    ClusterAndLocal, UnkeyedTraffic,
    testing::Values(
        Case{"all ready ones, or those here",
             "n1",
             {"1@n1", "2@n2", "3@n3"},
             "forward: 1 2 3",
             "forward: 1"},
        Case{"none here, but elsewhere", "n1", {"2@n2", "3@n3"}, "forward: 2 3", "drop"},
        Case{"none anywhere", "n1", {}, "reject", "reject"},
        Case{"only unusable ones",
             "n1",
             {"1@n1 unready", "2@n2 gone", "3@n3 serving"},
             "reject",
             "reject"},
        Case{"an unready one here, a ready one elsewhere",
             "n1",
             {"1@n1 unready", "2@n2"},
             "forward: 2",
             "drop"},
        Case{"Local compares node names, known or not",
             "nowhere",
             {"1@nowhere", "2@n2"},
             "forward: 1 2",
             "forward: 1"},
        Case{"an endpoint without node is not local", "n1", {"1"}, "forward: 1", "drop"},
        Case{"ready while terminating is ready",
             "n1",
             {"1@n1 ready-terminating", "2@n2"},
             "forward: 1 2",
             "forward: 1"}));

INSTANTIATE_TEST_SUITE_P(Kep1669, UnkeyedTraffic,
                         testing::Values(Case{"terminating ones only if no ready one is left",
                                              "n1",
                                              {"1@n1 terminating", "2@n2"},
                                              "forward: 2",
                                              "forward: 1"},
                                         Case{"all terminate",
                                              "n1",
                                              {"1@n1 terminating", "2@n2 terminating"},
                                              "forward: 1 2",
                                              "forward: 1"},
                                         Case{"a ready one here goes before a terminating one here",
                                              "n1",
                                              {"1@n1 terminating", "2@n1"},
                                              "forward: 2",
                                              "forward: 2"},
                                         Case{"a terminating one elsewhere is usable elsewhere",
                                              "n1",
                                              {"2@n2 terminating"},
                                              "forward: 2",
                                              "drop"},
                                         Case{"hints do not narrow terminating ones",
                                              "n1",
                                              {"1@n1 terminating for-zones=z1",
                                               "2@n2 terminating for-zones=z2"},
                                              "forward: 1 2",
                                              "forward: 1"}));

INSTANTIATE_TEST_SUITE_P(
    Hints, UnkeyedTraffic,
    testing::Values(Case{"this node is hinted",
                         "n1",
                         {"1@n1 for-nodes=n1", "2@n2 for-nodes=n2"},
                         "forward: 1",
                         "forward: 1"},
                    Case{"one endpoint for several nodes",
                         "n1",
                         {"1@n2 for-nodes=n1,n2", "2@n3 for-nodes=n3"},
                         "forward: 1",
                         "drop"},
                    Case{"node hints need no Node object",
                         "nowhere",
                         {"1@n1 for-nodes=nowhere", "2@n2 for-nodes=n2"},
                         "forward: 1",
                         "drop"},
                    Case{"nobody is hinted for this node",
                         "n3",
                         {"1@n1 for-nodes=n1", "2@n2 for-nodes=n2"},
                         "forward: 1 2",
                         "drop"},
                    Case{"one ready endpoint without node hint",
                         "n1",
                         {"1@n1 for-nodes=n1", "2@n2"},
                         "forward: 1 2",
                         "forward: 1"},
                    Case{"this zone is hinted",
                         "n1",
                         {"1@n1 for-zones=z1", "2@n2 for-zones=z2"},
                         "forward: 1",
                         "forward: 1"},
                    Case{"one endpoint for several zones",
                         "n1",
                         {"1@n2 for-zones=z2,z1", "2@n2 for-zones=z2"},
                         "forward: 1",
                         "drop"},
                    Case{"nobody is hinted for this zone",
                         "n1",
                         {"2@n2 for-zones=z2", "3@n3 for-zones=z3"},
                         "forward: 2 3",
                         "drop"},
                    Case{"one ready endpoint without zone hint",
                         "n1",
                         {"1@n1 for-zones=z1", "2@n2"},
                         "forward: 1 2",
                         "forward: 1"},
                    Case{"this node has no zone label",
                         "n3",
                         {"1@n1 for-zones=z1", "2@n2 for-zones=z2"},
                         "forward: 1 2",
                         "drop"},
                    Case{"this node is unknown",
                         "nowhere",
                         {"1@n1 for-zones=z1", "2@n2 for-zones=z2"},
                         "forward: 1 2",
                         "drop"},
                    Case{"node hints go before zone hints",
                         "n1",
                         {"1@n1 for-nodes=n1 for-zones=z1", "2@n2 for-nodes=n2 for-zones=z1"},
                         "forward: 1",
                         "forward: 1"},
                    Case{"node hints for others: zone hints",
                         "n1",
                         {"1@n2 for-nodes=n2 for-zones=z1", "2@n3 for-nodes=n3 for-zones=z2"},
                         "forward: 1",
                         "drop"},
                    Case{"node hints incomplete: zone hints",
                         "n1",
                         {"1@n2 for-nodes=n1 for-zones=z1", "2@n3 for-zones=z1",
                          "3@n3 for-zones=z2"},
                         "forward: 1 2",
                         "drop"},
                    Case{"an unready endpoint without hint does not matter",
                         "n1",
                         {"1@n1 for-zones=z1", "2@n2 for-zones=z2", "3@n3 unready"},
                         "forward: 1",
                         "forward: 1"},
                    Case{"an unready endpoint's hint does not count (k/k#106507)",
                         "n1",
                         {"1@n1 unready for-zones=z1", "2@n2 for-zones=z2"},
                         "forward: 2",
                         "drop"},
                    Case{"a terminating endpoint's hint does not count",
                         "n1",
                         {"1@n1 terminating for-nodes=n1", "2@n2 for-nodes=n2"},
                         "forward: 2",
                         "forward: 1"},
                    Case{"endpoint.zone is no hint",
                         "n1",
                         {"1@n1 zone=z1", "2@n2 zone=z2"},
                         "forward: 1 2",
                         "forward: 1"}));

TEST(UnkeyedPlan, KeepsTheTerminatingOnesReady) {
  const Nodes nodes({"n1:"});
  const std::vector<EndpointSlice> slices{
      web_slice({"1@n1", "2@n1 terminating", "3@n2", "4@n2 terminating"})};
  Service service = web_service();
  service.ports[0].node_port = 30080;
  service.external_local = true;
  const auto plan = plan_service(service, MergedEndpoints(slices), nodes.view("n1"));
  const auto backends = [](std::initializer_list<const char*> numbers) {
    std::vector<SocketAddress> result;
    for (const char* number : numbers) result.push_back({test::endpoint(number).address, 8080});
    return result;
  };
  const TrafficPlan cluster{
      Verdict::Forward, {{"", backends({"1", "3"})}}, {{"", backends({"2", "4"})}}, false};
  const TrafficPlan local{
      Verdict::Forward, {{"", backends({"1"})}}, {{"", backends({"2"})}}, false};
  EXPECT_EQ(plan.ports.at(0).internal, cluster);
  EXPECT_EQ(plan.ports[0].external, local);
  EXPECT_EQ(plan.ports[0].node_external, cluster);
}

TEST(UnkeyedPlan, HasNoTiersWhenTheVerdictIsFixed) {
  const Nodes nodes({"n1:"});
  const std::vector<EndpointSlice> slices{web_slice({"3@n2", "4@n2 terminating"})};
  Service service = web_service();
  service.internal_local = true;
  const TrafficPlan drop{Verdict::Drop, {}, {}, false};
  const TrafficPlan reject{Verdict::Reject, {}, {}, false};
  EXPECT_EQ(plan_service(service, MergedEndpoints(slices), nodes.view("n1")).ports.at(0).internal,
            drop);
  EXPECT_EQ(plan_service(service, MergedEndpoints({}), nodes.view("n1")).ports.at(0).internal,
            reject);
  service.internal_local = false;
  EXPECT_EQ(plan_service(service, MergedEndpoints({}), nodes.view("n1")).ports.at(0).internal,
            reject);
}

}  // namespace
}  // namespace topolb::core
