// SPDX-License-Identifier: Apache-2.0
// Shares and moves worked out by hand.
#include "core/traffic_spread.h"

#include <gtest/gtest.h>

#include "cluster_text.h"

namespace topolb::core {
namespace {

/// Zone a: n1 to n3, zone b: n4; a backend in each, on n1 and n4.
class Zones : public testing::Test {
 protected:
  Zones() {
    for (const char* text :
         {"n1: topology.kubernetes.io/zone=a kubernetes.io/hostname=n1 rack=r1",
          "n2: topology.kubernetes.io/zone=a kubernetes.io/hostname=n2 rack=r2",
          "n3: topology.kubernetes.io/zone=a kubernetes.io/hostname=n3 rack=r3",
          "n4: topology.kubernetes.io/zone=b kubernetes.io/hostname=n4 rack=r4"}) {
      nodes.push_back(test::node(text));
    }
    slices.push_back(test::web_slice({"1@n1", "2@n4"}));
  }
  [[nodiscard]] NodeTable table() const { return NodeTable(nodes); }
  [[nodiscard]] static Service with_keys(const std::string& keys) {
    Service service = test::web_service();
    service.topology_keys_annotation = keys;
    return service;
  }
  [[nodiscard]] TrafficSpread spread(const Service& service) const {
    NodeTable nodes_of_cluster = table();
    return spread_on_all_nodes(service, test::MergedEndpoints(slices), nodes_of_cluster)
        .at(0)
        .internal;
  }
  [[nodiscard]] TrafficMoves moves(const Service& before, const Service& after) const {
    NodeTable nodes_of_cluster = table();
    return moves_on_all_nodes(before, after, test::MergedEndpoints(slices), nodes_of_cluster)
        .at(0)
        .internal;
  }

  std::vector<Node> nodes;
  std::vector<EndpointSlice> slices;
};

// The example at the head of traffic_spread.h.
TEST_F(Zones, OverloadTheBackendOfTheLargerOne) {
  const auto result = spread(with_keys("topology.kubernetes.io/zone"));
  ASSERT_EQ(result.backends.size(), 2U);
  EXPECT_EQ(result.backends[0].node, "n1");
  EXPECT_DOUBLE_EQ(result.backends[0].share, 0.75);
  EXPECT_DOUBLE_EQ(result.backends[0].ratio, 1.5);
  EXPECT_EQ(result.backends[1].node, "n4");
  EXPECT_DOUBLE_EQ(result.backends[1].share, 0.25);
  EXPECT_DOUBLE_EQ(result.backends[1].ratio, 0.5);
  ASSERT_EQ(result.outcomes.size(), 2U);
  EXPECT_EQ(result.outcomes[0].nodes, (std::vector<std::uint32_t>{0, 1, 2}));
  EXPECT_EQ(result.outcomes[0].tier, "topology.kubernetes.io/zone");
  EXPECT_EQ(result.outcomes[1].nodes, (std::vector<std::uint32_t>{3}));
  ASSERT_EQ(result.domains.size(), 2U);
  EXPECT_EQ(result.domains[0].value, "a");
  EXPECT_EQ(result.domains[0].nodes, 3U);
  EXPECT_EQ(result.domains[0].backends, 1U);
  EXPECT_DOUBLE_EQ(result.domains[0].kept, 0.75);
  EXPECT_DOUBLE_EQ(result.domains[0].ratio, 1.5);
}

TEST_F(Zones, WithoutKeysSendHalfOfTheirTrafficAway) {
  const auto result = spread(test::web_service());
  EXPECT_DOUBLE_EQ(result.backends[0].ratio, 1);
  ASSERT_EQ(result.domains.size(), 2U);
  EXPECT_DOUBLE_EQ(result.domains[0].sent, 0.75);
  EXPECT_DOUBLE_EQ(result.domains[0].kept, 0.375);
  EXPECT_DOUBLE_EQ(result.domains[0].share, 0.5);
}

TEST_F(Zones, WithoutABackendAreToldApart) {
  slices[0] = test::web_slice({"1@n1"});
  nodes.push_back(test::node("n5: rack=r5"));
  const auto result = spread(with_keys("topology.kubernetes.io/zone"));
  EXPECT_EQ(result.nodes_with(Verdict::Forward), 3U);
  EXPECT_EQ(result.nodes_with(Verdict::Reject), 2U);
  ASSERT_EQ(result.domains.size(), 3U);
  EXPECT_EQ(result.domains[0].nodes_without_backend, 0U);
  EXPECT_EQ(result.domains[1].value, "b");
  EXPECT_EQ(result.domains[1].nodes_without_backend, 1U);
  EXPECT_EQ(result.domains[1].ratio, 0);
  EXPECT_EQ(result.domains[2].value, std::nullopt) << "the node without a zone";
  EXPECT_EQ(result.domains[2].nodes_without_backend, 1U);
  // What is refused is nobody's load: the one backend carries its fair share.
  EXPECT_DOUBLE_EQ(result.backends[0].share, 0.6);
  EXPECT_DOUBLE_EQ(result.backends[0].ratio, 1);
}

// "rack" is different on every node.
TEST_F(Zones, AreShownOnlyWhereTheyHoldSeveralNodes) {
  EXPECT_TRUE(spread(with_keys("rack, *")).domains.empty());
  EXPECT_EQ(spread(with_keys("kubernetes.io/hostname, *")).domains.size(), 2U) << "by zone";
  nodes[1].labels["rack"] = "r1";
  const auto domains = spread(with_keys("rack, topology.kubernetes.io/zone, *")).domains;
  ASSERT_EQ(domains.size(), 5U);
  EXPECT_EQ(domains[0].key, "rack");
  EXPECT_EQ(domains[4].key, "topology.kubernetes.io/zone");
}

// A terminating backend counts where a node uses it although others have ready ones.
TEST_F(Zones, CountTerminatingBackendsThatAreUsed) {
  slices[0] = test::web_slice({"1@n1 terminating", "2@n4"});
  auto result = spread(with_keys("topology.kubernetes.io/zone"));
  ASSERT_EQ(result.backends.size(), 2U);
  EXPECT_DOUBLE_EQ(result.backends[0].share, 0.75);
  result = spread(test::web_service());
  ASSERT_EQ(result.backends.size(), 1U);
  EXPECT_DOUBLE_EQ(result.backends[0].share, 1);
}

TEST_F(Zones, MoveWhatLeavesThem) {
  const auto result =
      moves(test::web_service(), with_keys("kubernetes.io/hostname, topology.kubernetes.io/zone"));
  EXPECT_DOUBLE_EQ(result.share, 0.5);
  EXPECT_EQ(result.moved_nodes, 4U);
  EXPECT_EQ(result.losing_nodes, 0U);
  ASSERT_EQ(result.moves.size(), 3U);
  EXPECT_EQ(result.moves[0].nodes, (std::vector<std::uint32_t>{0}));
  EXPECT_EQ(result.moves[0].before.tier, std::nullopt);
  EXPECT_EQ(result.moves[0].after.tier, "kubernetes.io/hostname");
  EXPECT_EQ(result.moves[1].nodes, (std::vector<std::uint32_t>{1, 2}));
  EXPECT_EQ(result.moves[1].after.tier, "topology.kubernetes.io/zone");
  EXPECT_DOUBLE_EQ(result.moves[1].share, 0.5);
}

TEST_F(Zones, LoseNodesToKeysThatNothingMatches) {
  const auto strict = with_keys("kubernetes.io/hostname");
  const auto result = moves(test::web_service(), strict);
  EXPECT_DOUBLE_EQ(result.share, 0.75) << "all of two nodes, half of the others";
  EXPECT_EQ(result.losing_nodes, 2U);
  EXPECT_EQ(moves(strict, test::web_service()).gaining_nodes, 2U);
  EXPECT_EQ(moves(strict, strict).share, 0);
  EXPECT_EQ(moves(strict, strict).moved_nodes, 0U);
}

TEST(TrafficSpread, OfNoNodesIsNothing) {
  NodeTable none({});
  const test::MergedEndpoints nothing({});
  EXPECT_TRUE(spread_on_all_nodes(test::web_service(), nothing, none).empty());
  EXPECT_TRUE(moves_on_all_nodes(test::web_service(), test::web_service(), nothing, none).empty());
}

}  // namespace
}  // namespace topolb::core
