// SPDX-License-Identifier: Apache-2.0
// Plans, shares and moves over all nodes against one node after the other, over many random
// clusters. The seed of a failure is in its trace.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "cluster_text.h"
#include "core/traffic_spread.h"
#include "random_cluster.h"

namespace topolb::core {
namespace {

constexpr std::uint32_t kClusters = 2000;

struct Cluster {
  explicit Cluster(std::uint32_t seed) {
    test::RandomCluster random(seed);
    service = random.service("a");
    changed = random.service("a");
    changed.cluster_ips = service.cluster_ips;
    changed.external_ips = service.external_ips;
    changed.load_balancer_ips = service.load_balancer_ips;
    changed.ports = service.ports;
    for (const char* name : {"s1", "s2", "s3"}) {
      EndpointSlice& slice = slices.emplace_back(random.slice(name));
      slice.service_name = "a";
    }
    // Endpoints are on n0 to n4, as far as those are known.
    for (const char* name : {"n0", "n1", "n2", "n3", "n4", "n5", "n6", "n7"}) {
      if (!random.one_in(5)) nodes.push_back(random.node(name));
    }
  }

  [[nodiscard]] NodeTable table() const { return NodeTable(nodes); }
  [[nodiscard]] ServicePlan plan_on(const Service& planned, const std::string& name) const {
    std::map<std::string, Labels> labels;
    for (const Node& node : nodes) labels[node.name] = node.labels;
    return plan_service(planned, test::MergedEndpoints(slices), test::view_of(labels, name));
  }

  Service service;
  Service changed;  // other keys and policies
  std::vector<EndpointSlice> slices;
  std::vector<Node> nodes;
};

/// What nodes of a group have in common: not which of the backends are their own.
ServicePlan without_local_backends(ServicePlan plan) {
  for (auto& port : plan.ports) port.local_backends.clear();
  return plan;
}

TEST(RandomClusters, AreGroupedWithoutChangingAnyPlan) {
  std::size_t groups_made = 0;
  std::size_t nodes_planned = 0;
  for (std::uint32_t seed = 0; seed < kClusters && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(seed);
    const Cluster cluster(seed);
    NodeTable table = cluster.table();
    std::set<std::uint32_t> seen;
    for (const auto& group :
         plan_on_all_nodes(cluster.service, test::MergedEndpoints(cluster.slices), table)) {
      ++groups_made;
      for (const std::uint32_t node : group.nodes) {
        EXPECT_TRUE(seen.insert(node).second) << "in two groups: " << table.name(node);
        EXPECT_EQ(without_local_backends(group.plan),
                  without_local_backends(cluster.plan_on(cluster.service, table.name(node))));
        ++nodes_planned;
      }
    }
    EXPECT_EQ(seen.size(), cluster.nodes.size());
  }
  EXPECT_LT(groups_made, nodes_planned * 6 / 10) << "nothing was grouped";
}

using Shares = std::map<SocketAddress, double>;

/// What one node's traffic comes to; empty if it gets no backend.
Shares shares_of(const TrafficPlan& plan) {
  Shares shares;
  const Tier* tier = plan.effective();
  if (tier == nullptr) return shares;
  for (const auto& backend : tier->backends) {
    shares[backend] = 1.0 / static_cast<double>(tier->backends.size());
  }
  return shares;
}

void expect_spread(const TrafficSpread& spread, const std::vector<const TrafficPlan*>& by_node) {
  Shares expected;
  std::size_t forwarded = 0;
  for (const TrafficPlan* plan : by_node) {
    if (plan->verdict == Verdict::Forward) ++forwarded;
    for (const auto& [backend, share] : shares_of(*plan)) {
      expected[backend] += share / static_cast<double>(by_node.size());
    }
  }
  EXPECT_EQ(spread.nodes_with(Verdict::Forward), forwarded);
  double sum = 0;
  double ratios = 0;
  for (const BackendLoad& load : spread.backends) {
    EXPECT_NEAR(load.share, expected[load.backend], 1e-12) << load.backend.to_string();
    expected.erase(load.backend);
    sum += load.share;
    ratios += load.ratio;
  }
  EXPECT_TRUE(expected.empty()) << "a backend is missing";
  EXPECT_NEAR(sum, static_cast<double>(forwarded) / static_cast<double>(by_node.size()), 1e-12);
  EXPECT_NEAR(ratios, forwarded == 0 ? 0 : static_cast<double>(spread.backends.size()), 1e-9);
  std::map<std::string, DomainLoad> sums;
  for (const DomainLoad& domain : spread.domains) {
    DomainLoad& total = sums[domain.key];
    total.nodes += domain.nodes;
    total.nodes_without_backend += domain.nodes_without_backend;
    total.backends += domain.backends;
    total.share += domain.share;
    total.sent += domain.sent;
    EXPECT_LE(domain.kept, std::min(domain.sent, domain.share) + 1e-12);
  }
  for (const auto& [key, total] : sums) {
    EXPECT_EQ(total.nodes, by_node.size());
    EXPECT_EQ(total.nodes_without_backend, by_node.size() - forwarded);
    EXPECT_EQ(total.backends, spread.backends.size());
    EXPECT_NEAR(total.share, sum, 1e-12);
    EXPECT_NEAR(total.sent, 1, 1e-12);
  }
}

TEST(RandomClusters, SpreadTheirTrafficAsTheNodesDoOneByOne) {
  std::size_t ports_seen = 0;
  for (std::uint32_t seed = 0; seed < kClusters && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(seed);
    const Cluster cluster(seed);
    NodeTable table = cluster.table();
    const auto spreads =
        spread_on_all_nodes(cluster.service, test::MergedEndpoints(cluster.slices), table);
    std::vector<ServicePlan> plans;
    for (const Node& node : cluster.nodes) {
      plans.push_back(cluster.plan_on(cluster.service, node.name));
    }
    ASSERT_EQ(spreads.size(), plans.empty() ? 0 : plans[0].ports.size());
    for (std::size_t port = 0; port < spreads.size(); ++port, ++ports_seen) {
      std::vector<const TrafficPlan*> internal;
      std::vector<const TrafficPlan*> external;
      for (const ServicePlan& plan : plans) {
        internal.push_back(&plan.ports[port].internal);
        if (plan.ports[port].external) external.push_back(&*plan.ports[port].external);
      }
      EXPECT_EQ(spreads[port].key, plans[0].ports[port].key);
      expect_spread(spreads[port].internal, internal);
      ASSERT_EQ(spreads[port].external.has_value(), !external.empty());
      if (spreads[port].external) expect_spread(*spreads[port].external, external);
    }
  }
  EXPECT_GT(ports_seen, kClusters);
}

double moved(const TrafficPlan& before, const TrafficPlan& after) {
  const Shares shares_before = shares_of(before);
  const Shares shares_after = shares_of(after);
  double gained = 0;
  double lost = 0;
  for (const auto& [backend, share] : shares_after) {
    const auto found = shares_before.find(backend);
    gained += std::max(0.0, share - (found == shares_before.end() ? 0 : found->second));
  }
  for (const auto& [backend, share] : shares_before) {
    const auto found = shares_after.find(backend);
    lost += std::max(0.0, share - (found == shares_after.end() ? 0 : found->second));
  }
  return std::max(gained, lost);
}

TEST(RandomClusters, MoveTheirTrafficAsTheNodesDoOneByOne) {
  std::size_t moves_seen = 0;
  for (std::uint32_t seed = 0; seed < kClusters && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(seed);
    const Cluster cluster(seed);
    NodeTable table = cluster.table();
    const auto result = moves_on_all_nodes(cluster.service, cluster.changed,
                                           test::MergedEndpoints(cluster.slices), table);
    for (std::size_t port = 0; port < result.size(); ++port) {
      double share = 0;
      std::size_t moved_nodes = 0;
      std::size_t losing = 0;
      std::map<std::string, double> of_node;
      for (const Move& move : result[port].internal.moves) {
        for (const std::uint32_t node : move.nodes) of_node[table.name(node)] = move.share;
      }
      for (const Node& node : cluster.nodes) {
        const auto before = cluster.plan_on(cluster.service, node.name).ports[port].internal;
        const auto after = cluster.plan_on(cluster.changed, node.name).ports[port].internal;
        const double expected = moved(before, after);
        ASSERT_TRUE(of_node.contains(node.name));
        EXPECT_NEAR(of_node[node.name], expected, 1e-12) << node.name;
        share += expected / static_cast<double>(cluster.nodes.size());
        if (expected > 1e-12) ++moved_nodes;
        if (before.effective() != nullptr && after.effective() == nullptr) ++losing;
      }
      EXPECT_NEAR(result[port].internal.share, share, 1e-12);
      EXPECT_EQ(result[port].internal.moved_nodes, moved_nodes);
      EXPECT_EQ(result[port].internal.losing_nodes, losing);
      moves_seen += moved_nodes;
    }
  }
  EXPECT_GT(moves_seen, kClusters);
}

}  // namespace
}  // namespace topolb::core
