// SPDX-License-Identifier: Apache-2.0
// Topology from labels to connections, and back when labels change. Source: design.md 3.2 to 3.4.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <cerrno>

#include "agent_fixture.h"
#include "json_text.h"

namespace topolb::test {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;
using Labels = std::map<std::string, std::string>;

constexpr const char* kWeb = "10.96.0.1:80";
constexpr const char* kHostname = "kubernetes.io/hostname";
constexpr const char* kZone = "topology.kubernetes.io/zone";

// This node is n1, in rack a of zone z1. n2 shares its rack, n3 its zone, n4 nothing.
const std::string kHere = "10.1.0.1:8080";
const std::string kRack = "10.1.0.2:8080";
const std::string kZoneMate = "10.1.0.3:8080";
const std::string kFar = "10.1.0.4:8080";

class Topology : public AgentTest {
 protected:
  Topology() {
    for (const auto& backend : {kHere, kRack, kZoneMate, kFar}) serve(backend);
    put_node("n1", "a", "z1");
    put_node("n2", "a", "z2");
    put_node("n3", "b", "z1");
    put_node("n4", "c", "z3");
    write("web.yaml",
          service_text({"web", "10.96.0.1", keys(fmt::format("{},rack,{},*", kHostname, kZone))}));
    put_endpoints({1, 2, 3, 4});
  }

  void put_node(const std::string& name, const std::string& rack, const std::string& zone) const {
    replace(name + ".yaml",
            node_text(name, Labels{{kHostname, name}, {"rack", rack}, {kZone, zone}}));
  }

  /// On n1, n2, ...
  void put_endpoints(const std::vector<int>& nodes) const {
    std::vector<EndpointText> endpoints;
    for (const int i : nodes) {
      endpoints.push_back({fmt::format("10.1.0.{}", i), fmt::format("n{}", i)});
    }
    replace("slice.yaml", slice_text("web", endpoints));
  }

  static void expect_only(const std::string& backend, const char* why) {
    EXPECT_TRUE(wait_until([&] { return answers(kWeb) == std::set{backend}; })) << why;
  }
};

TEST_F(Topology, EachKeyInItsTurnAndBack) {
  start_agent();
  expect_only(kHere, "on this node");
  put_endpoints({2, 3, 4});
  expect_only(kRack, "in this rack");
  put_endpoints({3, 4});
  expect_only(kZoneMate, "in this zone");
  put_endpoints({4});
  expect_only(kFar, "anywhere");
  put_endpoints({});
  EXPECT_TRUE(fails_with(kWeb, ECONNREFUSED)) << "nowhere";
  put_endpoints({4});
  expect_only(kFar, "back, far away");
  put_endpoints({1, 2, 3, 4});
  expect_only(kHere, "back, here");
}

TEST_F(Topology, StrictKeysAreRefusedUntilSomebodyIsNear) {
  write("web.yaml", service_text({"web", "10.96.0.1", keys(fmt::format("{},rack", kHostname))}));
  start_agent();
  expect_only(kHere, "on this node");
  put_endpoints({3, 4});
  EXPECT_TRUE(fails_with(kWeb, ECONNREFUSED));
  put_endpoints({2, 3, 4});
  expect_only(kRack, "in this rack");
}

TEST_F(Topology, ThisNodeRelabelled) {
  put_endpoints({2, 3, 4});
  start_agent();
  expect_only(kRack, "before");
  put_node("n1", "b", "z2");
  expect_only(kZoneMate, "n3 is in our rack now");
  put_node("n1", "c", "z1");
  expect_only(kFar, "n4 is in our rack now");
  put_node("n1", "d", "z2");
  expect_only(kRack, "n2 is in our zone now");
  remove("n1.yaml");
  EXPECT_TRUE(wait_until([] { return answers(kWeb).size() == 3; })) << "no labels: only * matches";
  put_node("n1", "a", "z1");
  expect_only(kRack, "as before");
}

TEST_F(Topology, AnotherNodeRelabelled) {
  put_endpoints({3, 4});
  start_agent();
  expect_only(kZoneMate, "before");
  put_node("n4", "a", "z3");
  expect_only(kFar, "n4 has come into our rack");
  put_node("n4", "c", "z3");
  expect_only(kZoneMate, "it has left");
  put_node("n3", "b", "z9");
  EXPECT_TRUE(wait_until([] { return answers(kWeb).size() == 2; })) << "nobody is near";
}

TEST_F(Topology, ZoneOfTheEndpointStandsForAnUnknownNode) {
  replace("slice.yaml", slice_text("web", {{"10.1.0.3", "gone", "zone: z1"}, {"10.1.0.4", "n4"}}));
  start_agent();
  expect_only(kZoneMate, "by its own zone");
}

TEST_F(Topology, InvalidKeysRefuseAndAreAProblem) {
  start_agent();
  expect_only(kHere, "before");
  write("web.yaml", service_text({"web", "10.96.0.1", keys("*,rack")}));
  EXPECT_TRUE(fails_with(kWeb, ECONNREFUSED));
  EXPECT_TRUE(agent().wait_for("Service default/web: InvalidTopologyKeys"));
  EXPECT_THAT(agent().lines("InvalidTopologyKeys"), SizeIs(1));
  EXPECT_TRUE(
      wait_until([] { return metric(R"(topolb_problems{reason="InvalidTopologyKeys"})") == "1"; }));
  const JsonText problems(get("/v1/problems").body);
  EXPECT_EQ(problems.text("/problems/0/reason"), "InvalidTopologyKeys");
  write("web.yaml", service_text({"web", "10.96.0.1", keys("rack,*")}));
  EXPECT_TRUE(wait_until([] { return answers(kWeb) == std::set{kHere, kRack}; }));
  EXPECT_TRUE(agent().wait_for("InvalidTopologyKeys: solved"));
}

// design.md 3.3, 3.4: usable backends, but none on this node.
TEST_F(Topology, InternalPolicyLocalDropsWithoutALocalBackend) {
  write("web.yaml",
        service_text(
            {.name = "web", .cluster_ip = "10.96.0.1", .spec = "internalTrafficPolicy: Local"}));
  start_agent();
  expect_only(kHere, "the local one only");
  put_endpoints({2, 3});
  EXPECT_TRUE(fails_with(kWeb, EHOSTUNREACH));
  put_endpoints({});
  EXPECT_TRUE(fails_with(kWeb, ECONNREFUSED)) << "none anywhere";
  put_endpoints({1, 2});
  expect_only(kHere, "again");
}

TEST_F(Topology, TerminatingBackendsServeUntilAReadyOneComes) {
  const std::string terminating = "conditions: {ready: false, serving: true, terminating: true}";
  replace("slice.yaml",
          slice_text("web", {{"10.1.0.1", "n1", terminating}, {"10.1.0.4", "n4", terminating}}));
  start_agent();
  expect_only(kHere, "the nearest of those that terminate");
  replace("slice.yaml", slice_text("web", {{"10.1.0.1", "n1", terminating}, {"10.1.0.4", "n4"}}));
  expect_only(kFar, "a ready one, however far, goes first");
}

TEST_F(Topology, Ipv6AndUdp) {
  serve("[fd00:1::1]:53", Protocol::UDP);
  serve("[fd00:1::2]:53", Protocol::UDP);
  write("dns.yaml", service_text({.name = "dns",
                                  .cluster_ip = "fd00:96::1",
                                  .metadata = keys(std::string(kHostname) + ",rack"),
                                  .ports = "{name: main, port: 53, protocol: UDP}"}));
  const auto put = [&](const std::vector<EndpointText>& endpoints) {
    replace("dns-slice.yaml", slice_text("dns", endpoints, "53", "UDP"));
  };
  put({{"fd00:1::1", "n1"}, {"fd00:1::2", "n2"}});
  start_agent();
  UdpClient client(Family::IPv6);
  EXPECT_EQ(client.ask("[fd00:96::1]:53").backend, "[fd00:1::1]:53");
  EXPECT_EQ(client.ask("[fd00:96::1]:53").peer, "[fd00:96::1]:53");
  put({{"fd00:1::2", "n2"}});
  // The same socket moves at once, connected or not.
  EXPECT_TRUE(
      wait_until([&] { return client.ask("[fd00:96::1]:53").backend == "[fd00:1::2]:53"; }));
  EXPECT_EQ(dial_connected_udp("[fd00:96::1]:53").backend, "[fd00:1::2]:53");
  put({{"fd00:1::9", "n9"}});
  EXPECT_TRUE(wait_until([&] { return client.ask("[fd00:96::1]:53").error == ECONNREFUSED; }));
  EXPECT_EQ(dial_connected_udp("[fd00:96::1]:53").error, ECONNREFUSED);
}

TEST_F(Topology, AffinityHoldsUntilANearerTierComesBack) {
  write("web.yaml", service_text({"web", "10.96.0.1", keys(std::string(kHostname) + ",*"),
                                  "sessionAffinity: ClientIP"}));
  put_endpoints({2, 3, 4});
  start_agent();
  const auto chosen = answers(kWeb);
  EXPECT_THAT(chosen, SizeIs(1)) << "one client, one backend";
  put_endpoints({1, 2, 3, 4});
  expect_only(kHere, "the nearer tier is back");
}

}  // namespace
}  // namespace topolb::test
