// SPDX-License-Identifier: Apache-2.0
// The words of explain; that it chooses as the planner does is in random_plan_test.cpp.
#include "core/explain.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <ostream>

#include "cluster_text.h"

namespace topolb::core {
namespace {

using test::MergedEndpoints;
using test::Nodes;

struct Case {
  std::string what;
  std::string here;
  std::string keys;
  bool local;
  std::vector<std::string> endpoints;
  std::string reason;
  std::vector<std::string> lines;  // "LAST-PART in|out STATE first-key: reason"
};

std::ostream& operator<<(std::ostream& out, const Case& one) { return out << one.what; }

std::string line(const EndpointExplanation& one) {
  return fmt::format("{} {} {} {}: {}", static_cast<int>(one.backend.address.bytes().back()),
                     one.chosen ? "in" : "out", to_string(one.state),
                     one.first_key.empty() ? "-" : one.first_key, one.reason);
}

class Explain : public testing::TestWithParam<Case> {};

TEST_P(Explain, SaysWhy) {
  const Nodes nodes({"n1: kubernetes.io/hostname=n1 topology.kubernetes.io/zone=z1 rack=a",
                     "n2: kubernetes.io/hostname=n2 topology.kubernetes.io/zone=z1",
                     "n3: kubernetes.io/hostname=n3 topology.kubernetes.io/zone=z2 rack=a",
                     "bare:"});
  Service service = test::web_service();
  service.topology_keys_annotation = GetParam().keys;
  service.internal_local = GetParam().local;
  const std::vector<EndpointSlice> slices{test::web_slice(GetParam().endpoints)};
  const auto explanation =
      explain_service(service, MergedEndpoints(slices), nodes.view(GetParam().here));
  ASSERT_EQ(explanation.ports.size(), 1U);
  EXPECT_FALSE(explanation.ports[0].external.has_value());
  const TrafficExplanation& internal = explanation.ports[0].internal;
  EXPECT_EQ(fmt::format("{}: {}", to_string(internal.verdict), internal.reason), GetParam().reason);
  std::vector<std::string> lines;
  for (const EndpointExplanation& one : internal.endpoints) lines.push_back(line(one));
  EXPECT_EQ(lines, GetParam().lines);
}

constexpr const char* kHostThenZone = "kubernetes.io/hostname,topology.kubernetes.io/zone";

INSTANTIATE_TEST_SUITE_P(
    WithKeys, Explain,
    testing::Values(
        Case{"the nearest tier",
             "n1",
             "kubernetes.io/hostname,rack,*",
             false,
             {"1@n1", "2@n2", "3@n3", "4@n1 unready", "5@n1 terminating", "6@n3 gone"},
             "forward: tier 1 of 3: kubernetes.io/hostname=n1",
             {"1 in ready kubernetes.io/hostname: matches kubernetes.io/hostname=n1",
              "2 out ready *: nearer tier kubernetes.io/hostname has backends",
              "3 out ready rack: nearer tier kubernetes.io/hostname has backends",
              "4 out not ready kubernetes.io/hostname: not ready",
              "5 out terminating kubernetes.io/hostname: terminating, and ready ones exist",
              "6 out not ready rack: terminating, and no longer serving"}},
        Case{"a farther tier, and why not",
             "n1",
             kHostThenZone,
             false,
             {"2@n2", "3@n3", "4@lost", "5@lost zone=z2", "6", "7@bare"},
             "forward: tier 2 of 2: topology.kubernetes.io/zone=z1",
             {"2 in ready topology.kubernetes.io/zone: matches topology.kubernetes.io/zone=z1",
              ("3 out ready -: label kubernetes.io/hostname is n3 on its node, n1 here; label "
               "topology.kubernetes.io/zone is z2 on its node, z1 here"),
              "4 out ready -: its node lost is unknown",
              "5 out ready -: its node lost is unknown; its zone is z2, z1 here",
              ("6 out ready -: it has no node to compare kubernetes.io/hostname with; it has no "
               "node to compare topology.kubernetes.io/zone with"),
              ("7 out ready -: its node bare has no label kubernetes.io/hostname; its node bare "
               "has no label topology.kubernetes.io/zone")}},
        Case{"the last resort",
             "n1",
             "rack,*",
             false,
             {"2@n2"},
             "forward: tier 2 of 2: * (any endpoint)",
             {"2 in ready *: matches * (any endpoint)"}},
        Case{"nothing matches",
             "n1",
             "rack",
             false,
             {"2@n2"},
             "reject: no usable endpoint matches a topology key (rack)",
             {"2 out ready -: its node n2 has no label rack"}},
        Case{"this node lacks the label",
             "bare",
             "rack",
             false,
             {"3@n3"},
             "reject: no usable endpoint matches a topology key (rack)",
             {"3 out ready -: this node has no label rack"}},
        Case{"nothing is usable",
             "n1",
             "rack",
             false,
             {"1@n1 unready"},
             "reject: no endpoint is ready",
             {"1 out not ready rack: not ready"}},
        Case{"no endpoints", "n1", "rack", false, {}, "reject: the port has no endpoints", {}},
        Case{"terminating ones",
             "n1",
             kHostThenZone,
             false,
             {"1@n1 terminating", "2@n2 terminating", "3@n3"},
             ("forward: tier 1 of 2: kubernetes.io/hostname=n1; no ready endpoint qualifies, so "
              "those that still serve while they terminate"),
             {("1 in terminating kubernetes.io/hostname: matches kubernetes.io/hostname=n1; "
               "terminating, and no ready one qualifies"),
              ("2 out terminating topology.kubernetes.io/zone: nearer tier kubernetes.io/hostname "
               "has backends"),
              ("3 out ready -: label kubernetes.io/hostname is n3 on its node, n1 here; label "
               "topology.kubernetes.io/zone is z2 on its node, z1 here")}},
        Case{"invalid keys",
             "n1",
             "rack,rack",
             false,
             {"1@n1"},
             ("reject: InvalidTopologyKeys: topology key \"rack\" is there twice: write each key "
              "once; connections to this Service are refused until it is corrected"),
             {"1 out ready -: the Service's topology keys are refused"}},
        Case{"internalTrafficPolicy Local wins",
             "n1",
             "*",
             true,
             {"1@n1", "2@n2"},
             "forward: internalTrafficPolicy Local: the ready endpoints on this node",
             {"1 in ready -: on this node",
              "2 out ready -: internalTrafficPolicy Local: it is on node n2"}}));

INSTANTIATE_TEST_SUITE_P(
    WithoutKeys, Explain,
    testing::Values(
        Case{"all",
             "n1",
             "",
             false,
             {"1@n1", "2@n2 terminating", "3 unready"},
             "forward: all ready endpoints",
             {"1 in ready -: ready", "2 out terminating -: terminating, and ready ones exist",
              "3 out not ready -: not ready"}},
        Case{"zone hints",
             "n1",
             "",
             false,
             {"1@n1 for-zones=z1", "2@n2 for-zones=z2,z3"},
             "forward: the ready endpoints hinted for zone z1",
             {"1 in ready -: hinted for zone z1", "2 out ready -: hinted for zone z2, z3"}},
        Case{"node hints",
             "n1",
             "",
             false,
             {"1@n1 for-nodes=n1", "2@n2 for-nodes=n2"},
             "forward: the ready endpoints hinted for node n1",
             {"1 in ready -: hinted for node n1", "2 out ready -: hinted for node n2"}},
        Case{"one without hint",
             "n1",
             "",
             false,
             {"1@n1 for-zones=z1", "2@n2"},
             "forward: all ready endpoints; hints are not used: 10.1.0.2:8080 has no zone hint",
             {"1 in ready -: ready", "2 in ready -: ready"}},
        Case{"no hint for this zone",
             "n1",
             "",
             false,
             {"2@n2 for-zones=z2"},
             "forward: all ready endpoints; hints are not used: none is for this zone z1",
             {"2 in ready -: ready"}},
        Case{"no zone here",
             "bare",
             "",
             false,
             {"2@n2 for-zones=z2"},
             "forward: all ready endpoints; hints are not used: this node has no zone label",
             {"2 in ready -: ready"}},
        Case{"terminating ones",
             "n1",
             "",
             false,
             {"1@n1 terminating", "2@n2 unready"},
             "forward: no ready endpoint qualifies, so those that still serve while they terminate",
             {"1 in terminating -: terminating, and no ready one exists",
              "2 out not ready -: not ready"}},
        Case{"none", "n1", "", false, {}, "reject: the port has no endpoints", {}},
        Case{"none is usable",
             "n1",
             "",
             false,
             {"2@n2 serving"},
             "reject: no endpoint is ready",
             {"2 out not ready -: not ready"}},
        Case{"Local, none here",
             "n1",
             "",
             true,
             {"2@n2", "3"},
             "drop: internalTrafficPolicy Local: no usable endpoint on this node, but on others",
             {"2 out ready -: internalTrafficPolicy Local: it is on node n2",
              "3 out ready -: internalTrafficPolicy Local: it has no node"}},
        Case{"Local, none anywhere",
             "n1",
             "",
             true,
             {"1@n1 unready"},
             "reject: internalTrafficPolicy Local: no endpoint is ready",
             {"1 out not ready -: not ready"}},
        Case{"Local, terminating",
             "n1",
             "",
             true,
             {"1@n1 terminating", "2@n2"},
             ("forward: internalTrafficPolicy Local: no ready endpoint qualifies, so those that "
              "still serve while they terminate on this node"),
             {"1 in terminating -: on this node; terminating, and no ready one qualifies",
              "2 out ready -: internalTrafficPolicy Local: it is on node n2"}}));

TEST(Explain, KnowsBothKindsOfTrafficAndTheZone) {
  const Nodes nodes({"n1: topology.kubernetes.io/zone=z1", "bare:"});
  Service service = test::web_service();
  service.ports[0].node_port = 30080;
  service.external_local = true;
  const std::vector<EndpointSlice> slices{
      test::web_slice({"1@n1 zone=z9", "2@bare zone=z9", "3@lost zone=z9", "4 zone=z9"})};
  const auto explanation = explain_service(service, MergedEndpoints(slices), nodes.view("n1"));
  const PortExplanation& port = explanation.ports.at(0);
  EXPECT_EQ(port.internal.reason, "all ready endpoints");
  EXPECT_EQ(port.external.value().reason,
            "externalTrafficPolicy Local: the ready endpoints on this node");
  std::vector<std::string> zones;
  for (const EndpointExplanation& one : port.internal.endpoints) zones.push_back(one.zone);
  EXPECT_EQ(zones, (std::vector<std::string>{"z1", "", "z9", "z9"}));
  EXPECT_EQ(port.internal.endpoints[2].node, "lost");
  EXPECT_TRUE(explanation.topology_keys.empty());
}

}  // namespace
}  // namespace topolb::core
