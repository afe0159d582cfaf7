// SPDX-License-Identifier: Apache-2.0
// The planner against the plain reference, and explain against the planner, over many random
// clusters. The seed of a failure is in its trace.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "cluster_text.h"
#include "core/explain.h"
#include "core/plan.h"
#include "random_cluster.h"
#include "reference.h"

namespace topolb::core {
namespace {

using test::in_words;

constexpr std::uint32_t kClusters = 20000;
const std::string kHere = "n0";

struct Cluster {
  explicit Cluster(std::uint32_t seed) {
    test::RandomCluster random(seed);
    service = random.service("a");
    for (const char* name : {"s1", "s2", "s3"}) {
      EndpointSlice& slice = slices.emplace_back(random.slice(name));
      slice.service_name = "a";
    }
    for (const char* name : {"n0", "n1", "n2", "n3", "n4"}) {
      if (!random.one_in(5)) nodes[name] = random.node(name).labels;
    }
  }

  [[nodiscard]] NodeView view() const { return test::view_of(nodes, kHere); }

  Service service;
  std::vector<EndpointSlice> slices;
  test::ReferenceNodes nodes;
};

const ServicePort& port_of(const Service& service, const ServicePortKey& key) {
  return *std::find_if(service.ports.begin(), service.ports.end(), [&](const ServicePort& port) {
    return port.number == key.port && port.protocol == key.protocol;
  });
}

// What a plan's parts must be, whatever the case.
void expect_consistent(const TrafficPlan& plan) {
  EXPECT_EQ(plan.effective() != nullptr, plan.verdict == Verdict::Forward);
  EXPECT_TRUE(plan.terminating_tiers.empty() || plan.terminating_tiers.size() == plan.tiers.size());
  for (const auto* tiers : {&plan.tiers, &plan.terminating_tiers}) {
    for (std::size_t i = 0; i < tiers->size(); ++i) {
      const Tier& tier = (*tiers)[i];
      EXPECT_EQ(tier.key, plan.tiers[i].key);
      EXPECT_EQ(tier.key.empty(), !plan.has_keys);
      EXPECT_TRUE(std::is_sorted(tier.backends.begin(), tier.backends.end()));
      EXPECT_EQ(std::set<SocketAddress>(tier.backends.begin(), tier.backends.end()).size(),
                tier.backends.size());
    }
  }
}

TEST(RandomClusters, ArePlannedAsTheReferencePlansThem) {
  std::map<std::string, int> seen;
  for (std::uint32_t seed = 0; seed < kClusters && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(seed);
    const Cluster cluster(seed);
    const auto plan =
        plan_service(cluster.service, test::MergedEndpoints(cluster.slices), cluster.view());
    for (const ServicePortPlan& port : plan.ports) {
      const auto expected =
          test::reference_port(cluster.service, port_of(cluster.service, port.key), port.key.family,
                               cluster.slices, cluster.nodes, kHere);
      EXPECT_EQ(in_words(port.internal), expected.internal);
      expect_consistent(port.internal);
      const bool external =
          std::any_of(port.frontends.begin(), port.frontends.end(),
                      [](const Frontend& one) { return one.kind != FrontendKind::ClusterIP; });
      ASSERT_EQ(port.external.has_value(), external);
      ASSERT_EQ(port.node_external.has_value(), external);
      ++seen[expected.internal.verdict + " " + expected.internal.tier];
      if (!external) continue;
      EXPECT_EQ(in_words(*port.external), expected.external);
      EXPECT_EQ(in_words(*port.node_external), expected.node_external);
      expect_consistent(*port.external);
      expect_consistent(*port.node_external);
    }
  }
  // The generator meets every kind of outcome.
  for (const char* outcome :
       {"forward ", "forward kubernetes.io/hostname", "forward topology.kubernetes.io/zone",
        "forward rack", "forward *", "reject ", "drop "}) {
    EXPECT_GT(seen[outcome], 100) << outcome;
  }
}

void expect_explained(const TrafficExplanation& explanation, const TrafficPlan& plan) {
  EXPECT_EQ(explanation.verdict, plan.verdict);
  EXPECT_FALSE(explanation.reason.empty());
  const Tier* tier = plan.effective();
  EXPECT_EQ(explanation.tier, tier == nullptr ? "" : tier->key);
  std::vector<SocketAddress> chosen;
  for (const EndpointExplanation& endpoint : explanation.endpoints) {
    if (endpoint.chosen) chosen.push_back(endpoint.backend);
    EXPECT_FALSE(endpoint.reason.empty());
    EXPECT_TRUE(plan.has_keys || endpoint.first_key.empty());
    EXPECT_TRUE(!plan.has_keys || !endpoint.chosen || !endpoint.first_key.empty());
    EXPECT_FALSE(endpoint.chosen && endpoint.state == EndpointState::NotReady);
  }
  EXPECT_EQ(chosen, tier == nullptr ? std::vector<SocketAddress>{} : tier->backends);
}

TEST(RandomClusters, AreExplainedAsTheyArePlanned) {
  for (std::uint32_t seed = 0; seed < kClusters && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(seed);
    const Cluster cluster(seed);
    const test::MergedEndpoints endpoints(cluster.slices);
    const auto plan = plan_service(cluster.service, endpoints, cluster.view());
    const auto explanation = explain_service(cluster.service, endpoints, cluster.view());
    EXPECT_EQ(explanation.problems, plan.problems);
    ASSERT_EQ(explanation.ports.size(), plan.ports.size());
    for (std::size_t i = 0; i < plan.ports.size(); ++i) {
      const PortExplanation& port = explanation.ports[i];
      EXPECT_EQ(port.key, plan.ports[i].key);
      expect_explained(port.internal, plan.ports[i].internal);
      EXPECT_EQ(port.internal.endpoints.size(),
                endpoints.of_port(port_of(cluster.service, port.key), port.key.family).size());
      ASSERT_EQ(port.external.has_value(), plan.ports[i].external.has_value());
      if (port.external) expect_explained(*port.external, *plan.ports[i].external);
    }
  }
}

}  // namespace
}  // namespace topolb::core
