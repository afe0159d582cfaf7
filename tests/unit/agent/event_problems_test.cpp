// SPDX-License-Identifier: Apache-2.0
#include "agent/event_problems.h"

#include <gtest/gtest.h>

namespace topolb::agent {
namespace {

core::Problem of_service(const std::string& name, const std::string& reason) {
  return {"Service", "default", name, reason, "m"};
}

core::ClusterState cluster(core::Scope scope) {
  core::ClusterState state({.node_name = "n1", .scope = scope});
  core::Service service;
  service.key = {"default", "web"};
  service.opted_in = true;
  state.put(service);
  service.key.name = "other";
  service.opted_in = false;
  state.put(service);
  return state;
}

ProblemLists objects() {
  return {.of_objects = {of_service("web", "A"),
                         of_service("other", "A"),
                         of_service("gone", "A"),
                         of_service("web", "A"),
                         {"EndpointSlice", "default", "web-1", "B", "m"},
                         {"Node", "", "n1", "C", "m"},
                         {"Node", "", "n2", "C", "m"},
                         {"File", "", "x.yaml", "D", "m"}}};
}

TEST(EventProblems, OfServedServicesAreTheClusters) {
  const auto events = event_problems(cluster(core::Scope::All), objects());
  EXPECT_EQ(events.of_cluster,
            (std::vector<core::Problem>{{"EndpointSlice", "default", "web-1", "B", "m"},
                                        of_service("other", "A"),
                                        of_service("web", "A")}));
  EXPECT_EQ(events.of_node, (std::vector<core::Problem>{{"Node", "", "n1", "C", "m"}}));
}

TEST(EventProblems, OfServicesThatKubeProxyServesAreItsOwn) {
  const auto events = event_problems(cluster(core::Scope::OptedIn), objects());
  EXPECT_EQ(events.of_cluster, std::vector<core::Problem>{of_service("web", "A")});
}

TEST(EventProblems, OfTheKernelAreOneOfTheNodeForEachReason) {
  const auto events =
      event_problems(cluster(core::Scope::All),
                     {.of_kernel = {of_service("a", "MapFull"), of_service("b", "MapFull"),
                                    of_service("c", "NotProgrammed")},
                      .of_node = {{"Node", "", "n1", "NodePortsNotReserved", "p"}}});
  EXPECT_EQ(events.of_cluster, std::vector<core::Problem>{});
  ASSERT_EQ(events.of_node.size(), 3U);
  EXPECT_EQ(events.of_node[0], (core::Problem{"Node", "", "n1", "MapFull",
                                              "Service default/a: m (topolb status on the node "
                                              "names all)"}));
  EXPECT_EQ(events.of_node[1].reason, "NodePortsNotReserved");
  EXPECT_EQ(events.of_node[2].reason, "NotProgrammed");
}

}  // namespace
}  // namespace topolb::agent
