// SPDX-License-Identifier: Apache-2.0
// What a change reaches, which Services are served, who gets a frontend. Sources: design.md 3.1
// (served), 6 (re-planning touches only what a change can reach); KEP-2447 (service-proxy-name).
#include "core/cluster_state.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "cluster_text.h"
#include "kernel_model.h"

namespace topolb::core {
namespace {

using test::internal_of;
using test::ip;
using test::node;
using test::on_n1;
using test::service;
using test::slice;
using test::text_of;
using test::texts_of;

using Texts = std::vector<std::string>;

Texts replanned(ClusterState& state) {
  state.replan();
  Texts names;
  for (const ObjectKey& key : state.last_replanned()) names.push_back(key.name);
  return names;
}

Texts problems_of(const ClusterState& state) {
  Texts texts;
  for (const Problem& problem : state.problems()) {
    texts.push_back(problem.name + " " + problem.reason);
  }
  return texts;
}

// Four Services: without keys, with zone hints, with keys on n2, with keys on n3.
class Reach : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* text :
         {"n1: topology.kubernetes.io/zone=z1 rack=a", "n2: topology.kubernetes.io/zone=z1 rack=b",
          "n3: topology.kubernetes.io/zone=z2 rack=a"}) {
      state_.put(node(text));
    }
    state_.put(service("plain", "10.96.0.1"));
    state_.put(slice("plain", {"1@n2", "2@n3"}));
    state_.put(service("hinted", "10.96.0.2"));
    state_.put(slice("hinted", {"3@n2 for-zones=z1", "4@n3 for-zones=z2"}));
    state_.put(service("racks", "10.96.0.3", "rack,*"));
    state_.put(slice("racks", {"5@n2"}));
    state_.put(service("zones", "10.96.0.4", "topology.kubernetes.io/zone"));
    state_.put(slice("zones", {"6@n3", "7@lost zone=z1"}));
    state_.replan();
  }

  ClusterState state_ = on_n1();
};

TEST_F(Reach, NothingChanged) { EXPECT_EQ(replanned(state_), Texts{}); }

TEST_F(Reach, TheSameObjectsAgain) {
  state_.put(node("n1: topology.kubernetes.io/zone=z1 rack=a"));
  state_.put(node("n3: topology.kubernetes.io/zone=z2 rack=a"));
  state_.put(service("racks", "10.96.0.3", "rack,*"));
  state_.put(slice("racks", {"5@n2"}));
  EXPECT_EQ(replanned(state_), Texts{});
}

TEST_F(Reach, AnEndpointReachesItsService) {
  state_.put(slice("plain", {"1@n2"}));
  EXPECT_EQ(replanned(state_), Texts{"plain"});
  state_.remove_slice({"default", "racks-1"});
  EXPECT_EQ(replanned(state_), Texts{"racks"});
}

TEST_F(Reach, ASliceThatChangesItsServiceReachesBoth) {
  EndpointSlice moved = slice("zones", {"6@n3"});
  moved.key.name = "plain-1";
  state_.put(moved);
  EXPECT_EQ(replanned(state_), (Texts{"plain", "zones"}));
  EXPECT_EQ(internal_of(state_, "plain"), "reject");
}

TEST_F(Reach, AServiceReachesItself) {
  state_.put(service("plain", "10.96.0.9"));
  EXPECT_EQ(replanned(state_), Texts{"plain"});
  state_.remove_service({"default", "zones"});
  EXPECT_EQ(replanned(state_), Texts{"zones"});
}

TEST_F(Reach, OwnLabelReachesTheServicesWithThatKey) {
  state_.put(node("n1: topology.kubernetes.io/zone=z1 rack=b"));
  EXPECT_EQ(replanned(state_), Texts{"racks"});
  EXPECT_EQ(internal_of(state_, "racks"), "forward rack: 5");
}

TEST_F(Reach, OwnZoneReachesZoneHintsToo) {
  state_.put(node("n1: topology.kubernetes.io/zone=z2 rack=a"));
  EXPECT_EQ(replanned(state_), (Texts{"hinted", "zones"}));
  EXPECT_EQ(internal_of(state_, "hinted"), "forward: 4");
  EXPECT_EQ(internal_of(state_, "zones"), "forward topology.kubernetes.io/zone: 6");
}

TEST_F(Reach, OwnNodeGone) {
  state_.remove_node("n1");
  EXPECT_EQ(replanned(state_), (Texts{"hinted", "racks", "zones"}));
  EXPECT_EQ(internal_of(state_, "zones"), "reject");
  EXPECT_EQ(internal_of(state_, "hinted"), "forward: 3 4");
  EXPECT_FALSE(state_.has_node("n1"));
}

TEST_F(Reach, ALabelThatNobodyUsesReachesNobody) {
  state_.put(node("n1: topology.kubernetes.io/zone=z1 rack=a heartbeat=1"));
  state_.put(node("n2: topology.kubernetes.io/zone=z1 rack=b heartbeat=1"));
  EXPECT_EQ(replanned(state_), Texts{});
}

TEST_F(Reach, AnotherNodesLabelReachesKeyedServicesWithABackendThere) {
  state_.put(node("n2: topology.kubernetes.io/zone=z2 rack=a"));
  EXPECT_EQ(replanned(state_), Texts{"racks"});
  EXPECT_EQ(internal_of(state_, "racks"), "forward rack: 5");
  state_.put(node("n3: topology.kubernetes.io/zone=z1 rack=a"));
  EXPECT_EQ(replanned(state_), Texts{"zones"});
  EXPECT_EQ(internal_of(state_, "zones"), "forward topology.kubernetes.io/zone: 6 7");
}

TEST_F(Reach, ANodeThatBecomesKnownOrUnknown) {
  EXPECT_EQ(internal_of(state_, "zones"), "forward topology.kubernetes.io/zone: 7");
  // Its labels count now, no longer endpoint.zone.
  state_.put(node("lost:"));
  EXPECT_EQ(replanned(state_), Texts{"zones"});
  EXPECT_EQ(internal_of(state_, "zones"), "reject");
  state_.remove_node("lost");
  EXPECT_EQ(replanned(state_), Texts{"zones"});
  EXPECT_EQ(internal_of(state_, "zones"), "forward topology.kubernetes.io/zone: 7");
}

TEST_F(Reach, BackendsThatMoveAreFollowed) {
  state_.put(slice("racks", {"5@n3"}));
  state_.replan();
  state_.put(node("n2: topology.kubernetes.io/zone=z1 rack=a"));
  EXPECT_EQ(replanned(state_), Texts{});
  state_.put(node("n3: topology.kubernetes.io/zone=z2 rack=b"));
  EXPECT_EQ(replanned(state_), Texts{"racks"});
}

TEST_F(Reach, KeysThatComeAndGoAreFollowed) {
  state_.put(service("plain", "10.96.0.1", "rack"));
  state_.put(service("racks", "10.96.0.3"));
  state_.replan();
  state_.put(node("n2: topology.kubernetes.io/zone=z1 rack=a"));
  EXPECT_EQ(replanned(state_), Texts{"plain"});
}

TEST(ClusterState, SlicesMayComeBeforeTheService) {
  ClusterState state = on_n1();
  state.put(slice("web", {"1@n1"}));
  EXPECT_EQ(replanned(state), Texts{});
  EXPECT_FALSE(state.endpoints_of({"default", "web"}).empty());
  EXPECT_EQ(state.find_service({"default", "web"}), nullptr);
  state.put(service("web", "10.96.0.1"));
  EXPECT_EQ(texts_of(state.replan()), (Texts{"publish web:80/TCP/IPv4", "add 10.96.0.1:80"}));
  EXPECT_EQ(internal_of(state, "web"), "forward: 1");
}

TEST(ClusterState, SlicesMayOutliveTheService) {
  ClusterState state = on_n1();
  state.put(service("web", "10.96.0.1"));
  state.put(slice("web", {"1@n1"}));
  state.replan();
  state.remove_service({"default", "web"});
  EXPECT_EQ(texts_of(state.replan()), (Texts{"remove 10.96.0.1:80", "delete web:80/TCP/IPv4"}));
  EXPECT_FALSE(state.endpoints_of({"default", "web"}).empty());
  state.remove_slice({"default", "web-1"});
  EXPECT_TRUE(state.replan().empty());
  EXPECT_TRUE(state.endpoints_of({"default", "web"}).empty());
}

TEST(ClusterState, UnknownNamesAreNoChange) {
  ClusterState state = on_n1();
  state.remove_service({"default", "web"});
  state.remove_slice({"default", "web-1"});
  state.remove_node("n1");
  EXPECT_TRUE(state.replan().empty());
  EXPECT_TRUE(state.plan().empty());
}

TEST(ClusterState, ServicesOfOneNameInTwoNamespacesAreTwo) {
  ClusterState state = on_n1();
  state.put(service("web", "10.96.0.1"));
  Service other = service("web", "10.96.0.2");
  other.key.namespace_name = "other";
  state.put(other);
  state.put(slice("web", {"1@n1"}));
  state.replan();
  ASSERT_EQ(state.plan().size(), 2U);
  EXPECT_EQ(text_of(state.plan()[0].internal), "forward: 1");
  EXPECT_EQ(text_of(state.plan()[1].internal), "reject");
}

struct ServedCase {
  Scope scope;
  std::string proxy_name_option;
  bool opted_in;
  std::optional<std::string> proxy_name_label;
  bool served;
};

class Served : public testing::TestWithParam<ServedCase> {};

TEST_P(Served, ByScopeAndProxyName) {
  const ServedCase& one = GetParam();
  ClusterState state(PlanOptions{"n1", one.scope, one.proxy_name_option});
  Service web = service("web", "10.96.0.1", "rack,rack");
  web.opted_in = one.opted_in;
  web.has_service_proxy_name = one.proxy_name_label.has_value();
  web.service_proxy_name = one.proxy_name_label.value_or("");
  state.put(web);
  state.replan();
  EXPECT_EQ(state.plan().size(), one.served ? 1U : 0U);
  // What is not served has no problem.
  EXPECT_EQ(state.problems().size(), one.served ? 1U : 0U);
  EXPECT_EQ(state.is_served(web), one.served);
  EXPECT_NE(state.find_service(web.key), nullptr);
}

INSTANTIATE_TEST_SUITE_P(
    Design31, Served,
    testing::Values(ServedCase{Scope::All, "", false, std::nullopt, true},
                    ServedCase{Scope::All, "", true, std::nullopt, true},
                    ServedCase{Scope::OptedIn, "", false, std::nullopt, false},
                    ServedCase{Scope::OptedIn, "", true, std::nullopt, true},
                    ServedCase{Scope::All, "", false, "other", false},
                    ServedCase{Scope::All, "", false, "", false},
                    ServedCase{Scope::All, "topolb", false, "other", false},
                    ServedCase{Scope::All, "topolb", false, "", false},
                    ServedCase{Scope::All, "topolb", false, "topolb", true},
                    ServedCase{Scope::All, "topolb", false, std::nullopt, true},
                    ServedCase{Scope::OptedIn, "topolb", false, "topolb", false},
                    ServedCase{Scope::OptedIn, "topolb", true, "topolb", true}));

TEST(ClusterState, OptingOutRemovesAndOptingInBringsBack) {
  ClusterState state(PlanOptions{"n1", Scope::OptedIn, ""});
  Service web = service("web", "10.96.0.1");
  web.opted_in = true;
  state.put(web);
  state.replan();
  web.opted_in = false;
  state.put(web);
  EXPECT_EQ(texts_of(state.replan()), (Texts{"remove 10.96.0.1:80", "delete web:80/TCP/IPv4"}));
  web.opted_in = true;
  state.put(web);
  EXPECT_EQ(texts_of(state.replan()), (Texts{"publish web:80/TCP/IPv4", "add 10.96.0.1:80"}));
}

class Conflict : public testing::Test {
 protected:
  static Service external(const std::string& name, const std::string& address) {
    Service result = service(name, address);
    result.external_ips = {ip("192.0.2.1")};
    return result;
  }

  void expect_planned() {
    kernel_.execute(state_.replan());
    kernel_.expect_equals(state_.plan());
  }

  [[nodiscard]] std::string owner() const {
    for (const ServicePortPlan& plan : state_.plan()) {
      EXPECT_EQ(plan.external.has_value(), plan.frontends.size() == 2) << plan.key.service.name;
      EXPECT_EQ(plan.node_external.has_value(), plan.external.has_value());
      if (plan.external) return plan.key.service.name;
    }
    return "nobody";
  }

  ClusterState state_ = on_n1();
  test::KernelModel kernel_;
};

TEST_F(Conflict, TheFirstByNameGetsTheFrontendInAnyOrder) {
  state_.put(external("b", "10.96.0.2"));
  expect_planned();
  EXPECT_EQ(owner(), "b");
  state_.put(external("c", "10.96.0.3"));
  expect_planned();
  EXPECT_EQ(owner(), "b");
  EXPECT_EQ(problems_of(state_), Texts{"c FrontendConflict"});
  state_.put(external("a", "10.96.0.1"));
  expect_planned();
  EXPECT_EQ(owner(), "a");
  EXPECT_EQ(problems_of(state_), (Texts{"b FrontendConflict", "c FrontendConflict"}));
  EXPECT_NE(state_.problems()[1].message.find("default/a"), std::string::npos);
}

TEST_F(Conflict, WhenTheWinnerGoesTheNextOneGetsIt) {
  state_.put(external("a", "10.96.0.1"));
  state_.put(external("b", "10.96.0.2"));
  state_.put(external("c", "10.96.0.3"));
  expect_planned();
  state_.remove_service({"default", "a"});
  expect_planned();
  EXPECT_EQ(owner(), "b");
  EXPECT_EQ(problems_of(state_), Texts{"c FrontendConflict"});
  EXPECT_NE(state_.problems()[0].message.find("default/b"), std::string::npos);
  state_.put(service("b", "10.96.0.2"));
  expect_planned();
  EXPECT_EQ(owner(), "c");
  EXPECT_EQ(problems_of(state_), Texts{});
}

TEST_F(Conflict, ALoserThatGoesChangesNobody) {
  state_.put(external("a", "10.96.0.1"));
  state_.put(external("b", "10.96.0.2"));
  expect_planned();
  state_.remove_service({"default", "b"});
  EXPECT_EQ(replanned(state_), Texts{"b"});
  EXPECT_EQ(owner(), "a");
}

TEST_F(Conflict, AServiceThatIsNotServedClaimsNothing) {
  Service foreign = external("a", "10.96.0.1");
  foreign.has_service_proxy_name = true;
  foreign.service_proxy_name = "other";
  state_.put(foreign);
  state_.put(external("b", "10.96.0.2"));
  expect_planned();
  EXPECT_EQ(owner(), "b");
  EXPECT_EQ(problems_of(state_), Texts{});
}

TEST_F(Conflict, OneClusterIpForTwoServices) {
  state_.put(service("a", "10.96.0.1"));
  state_.put(service("b", "10.96.0.1"));
  expect_planned();
  ASSERT_EQ(state_.plan().size(), 2U);
  EXPECT_EQ(state_.plan()[0].frontends.size(), 1U);
  EXPECT_TRUE(state_.plan()[1].frontends.empty());
  EXPECT_EQ(problems_of(state_), Texts{"b FrontendConflict"});
}

TEST_F(Conflict, AnotherPortOrProtocolIsNoConflict) {
  Service a = external("a", "10.96.0.1");
  a.ports = {{"x", 80, Protocol::TCP, 30080}, {"y", 81, Protocol::TCP, 0}};
  Service b = external("b", "10.96.0.2");
  b.ports = {{"x", 80, Protocol::UDP, 30080}, {"y", 82, Protocol::TCP, 0}};
  state_.put(a);
  state_.put(b);
  expect_planned();
  EXPECT_EQ(problems_of(state_), Texts{});
}

TEST_F(Conflict, TwoPortsOfOneService) {
  Service a = service("a", "10.96.0.1");
  a.ports = {{"x", 81, Protocol::TCP, 30080}, {"y", 80, Protocol::TCP, 30080}};
  state_.put(a);
  expect_planned();
  ASSERT_EQ(state_.plan().size(), 2U);
  EXPECT_EQ(state_.plan()[0].frontends.size(), 2U);  // port 80
  EXPECT_EQ(state_.plan()[1].frontends.size(), 1U);
  EXPECT_EQ(problems_of(state_), Texts{"a FrontendConflict"});
}

std::size_t ready_on_n1(const ClusterState& state, Family family = Family::IPv4) {
  return state.endpoints_of({"default", "web"}).ready_on("n1", family);
}

// Source: kube-proxy's EndpointsMap.LocalReadyEndpoints().
TEST(ReadyEndpointsOfANode, AreCountedByAddress) {
  auto state = on_n1();
  EXPECT_EQ(ready_on_n1(state), 0U);
  state.put(slice("web", {"1@n1", "2@n1 unready", "3@n2", "4", "5@n1 terminating", "6@n1"}));
  EXPECT_EQ(ready_on_n1(state), 2U);
  EXPECT_EQ(ready_on_n1(state, Family::IPv6), 0U);
  auto second = slice("web", {"1@n1", "7@n1"});
  second.key.name = "web-2";
  state.put(second);
  EXPECT_EQ(ready_on_n1(state), 3U) << "one address in two slices is one endpoint";
  second.ports.clear();
  state.put(second);
  EXPECT_EQ(ready_on_n1(state), 2U) << "without ports it is none";
}

}  // namespace
}  // namespace topolb::core
