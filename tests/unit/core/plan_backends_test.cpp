// SPDX-License-Identifier: Apache-2.0
// What the plan tells of backends beside the tiers: which are on this node, which keep their
// connections but get no new ones; and source ranges by family. Sources: KEP-1669; kube-proxy
// pkg/proxy/serviceport.go (source ranges).
#include <gtest/gtest.h>

#include <ostream>

#include "cluster_text.h"
#include "core/cluster_state.h"
#include "core/plan.h"

namespace topolb::core {
namespace {

using test::MergedEndpoints;
using test::Nodes;
using test::web_service;
using test::web_slice;

std::string last_bytes(const std::vector<SocketAddress>& backends) {
  std::string text;
  for (const auto& backend : backends) {
    if (!text.empty()) text += ' ';
    text += std::to_string(backend.address.bytes()[15]);
  }
  return text;
}

struct Case {
  std::string rule;
  std::vector<std::string> endpoints;
  std::string keys;  // "": none
  bool internal_local = false;
  std::string local;
  std::string idle;
  std::string nodeless = "";
};

std::ostream& operator<<(std::ostream& out, const Case& one) { return out << one.rule; }

class Backends : public testing::TestWithParam<Case> {};

TEST_P(Backends, AreLocalOrIdle) {
  const Nodes nodes({"n1: zone=z1 topology.kubernetes.io/zone=z1", "n2: zone=z2"});
  Service service = web_service();
  service.internal_local = GetParam().internal_local;
  if (!GetParam().keys.empty()) service.topology_keys_annotation = GetParam().keys;
  const std::vector<EndpointSlice> slices{web_slice(GetParam().endpoints)};
  const auto plan = plan_service(service, MergedEndpoints(slices), nodes.view("n1"));
  EXPECT_EQ(last_bytes(plan.ports.at(0).local_backends), GetParam().local);
  EXPECT_EQ(last_bytes(plan.ports.at(0).idle_backends), GetParam().idle);
  EXPECT_EQ(last_bytes(plan.ports.at(0).nodeless_backends), GetParam().nodeless);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, Backends,
    testing::Values(
        Case{"ready ones are in a tier", {"1@n1", "2@n2", "3"}, "", false, "1", "", "3"},
        Case{"local by the node's name, ready or not",
             {"1@n1 unready", "2@n1 terminating", "3@n2"},
             "",
             false,
             "1 2",
             "1"},
        Case{"neither serving nor ready, still an endpoint",
             {"1@n1", "2@n2 gone", "3@n2 serving", "4@n2 unready"},
             "",
             false,
             "1",
             "2 3 4"},
        Case{"terminating ones wait in a tier of their own",
             {"1@n1 terminating", "2@n2"},
             "",
             false,
             "1",
             ""},
        Case{"out of the key's tiers", {"1@n1", "2@n2", "3"}, "zone", false, "1", "2 3", "3"},
        Case{"out of the hinted zone",
             {"1@n1 for-zones=z1", "2@n2 for-zones=z2"},
             "",
             false,
             "1",
             "2"},
        Case{"not here, under the Local policy", {"1@n1", "2@n2"}, "", true, "1", "2"},
        Case{"invalid keys: nothing new for any of them",
             {"1@n1", "2@n2"},
             "*,zone",
             false,
             "1",
             "1 2"}));

TEST(SourceRanges, AreThoseOfTheFamily) {
  Service service = web_service();
  service.cluster_ips.push_back(test::ip("fd00:96::1"));
  service.source_ranges = {*IpPrefix::parse("192.0.2.0/24"), *IpPrefix::parse("2001:db8::/32")};
  const Nodes nodes({"n1:"});
  const auto plan = plan_service(service, MergedEndpoints({}), nodes.view("n1"));
  ASSERT_EQ(plan.ports.size(), 2U);
  EXPECT_EQ(plan.ports[0].source_ranges, std::vector{service.source_ranges[0]});
  EXPECT_EQ(plan.ports[1].source_ranges, std::vector{service.source_ranges[1]});
}

// Each part of it is published anew when it changes.
TEST(SourceRanges, AndBackendsArePartOfThePublication) {
  const Nodes nodes({"n1:"});
  const auto planned = [&](const Service& service, const std::vector<std::string>& endpoints) {
    const std::vector<EndpointSlice> slices{web_slice(endpoints)};
    return plan_service(service, MergedEndpoints(slices), nodes.view("n1")).ports;
  };
  const Service service = web_service();
  Service ranged = service;
  ranged.source_ranges = {*IpPrefix::parse("192.0.2.0/24")};
  const auto before = planned(service, {"1@n2", "2@n2 unready"});
  EXPECT_EQ(diff(before, planned(service, {"1@n2", "2@n2 unready"})).size(), 0U);
  EXPECT_EQ(diff(before, planned(service, {"1@n1", "2@n2 unready"})).size(), 1U);
  EXPECT_EQ(diff(before, planned(service, {"1@n2"})).size(), 1U);
  EXPECT_EQ(diff(before, planned(ranged, {"1@n2", "2@n2 unready"})).size(), 1U);
}

}  // namespace
}  // namespace topolb::core
