// SPDX-License-Identifier: Apache-2.0
// Problems as Events of an API server, simulated or real, by the agent with the rights that are
// shipped for it.
#include <csignal>

#include "agent_cluster_fixture.h"
#include "cluster_events.h"
#include "real_cluster.h"

namespace topolb::kube {
namespace {

using test::wait_until;

class EventsOfTheAgent : public AgentOfACluster {
 protected:
  void put_wrong_service() {
    put(test::service_text({"wrong", "10.96.1.3", test::keys("rack, rack")}));
  }
  void start() { start_agent({"--event-delay", "0"}); }
};

TEST_P(EventsOfTheAgent, HangOnTheObject) {
  put_wrong_service();
  start();
  ASSERT_TRUE(wait_until([&] { return count_of(*cluster, "wrong") == 1; }));
  const auto event = events_of(*cluster, "wrong").at(0);
  const auto service = cluster->get("/api/v1/namespaces/default/services/wrong");
  EXPECT_EQ(event.at("regarding").at("uid"), service.at("metadata").at("uid"));
  EXPECT_EQ(event.at("regarding").at("kind").as_string(), "Service");
  EXPECT_EQ(event.at("reason").as_string(), "InvalidTopologyKeys");
  EXPECT_EQ(event.at("type").as_string(), "Warning");
  EXPECT_NE(event.at("note").as_string().find("rack"), std::string::npos);
  EXPECT_EQ(event.at("reportingInstance").as_string(), "n1");
  EXPECT_EQ(lease_holder(*cluster), "n1");
  EXPECT_TRUE(events_of(*cluster, "web").empty());
  EXPECT_TRUE(wait_until([] { return metric(R"(topolb_events_total{result="written"})") == "1"; }));
}

TEST_P(EventsOfTheAgent, AreCountedOnAfterARestart) {
  put_wrong_service();
  start();
  ASSERT_TRUE(wait_until([&] { return count_of(*cluster, "wrong") == 1; }));
  stop_agent(SIGKILL);
  start();
  EXPECT_TRUE(wait_until([&] { return count_of(*cluster, "wrong") == 2; }));
}

TEST_P(EventsOfTheAgent, AreOfServedServicesOnly) {
  put_wrong_service();
  start_agent({"--event-delay", "0", "--scope", "opted-in"});
  put(test::service_text(
      {"mine", "10.96.1.4", test::keys("rack, rack") + ", labels: {topolb.io/enabled: \"true\"}"}));
  EXPECT_TRUE(wait_until([&] { return count_of(*cluster, "mine") == 1; }));
  EXPECT_EQ(count_of(*cluster, "wrong"), 0);
}

class EventsForPeople : public EventsOfTheAgent {};

TEST_P(EventsForPeople, AreInKubectlDescribe) {
  put_wrong_service();
  start();
  ASSERT_TRUE(wait_until([&] { return count_of(*cluster, "wrong") == 1; }));
  write("admin", cluster->kubeconfig());
  const auto described = test::run_to_end({kubernetes_assets() + "/kubectl", "--kubeconfig",
                                           path("admin").string(), "describe", "service", "wrong"});
  EXPECT_EQ(described.exit_code, 0) << described.err;
  EXPECT_NE(described.out.find("InvalidTopologyKeys"), std::string::npos) << described.out;
}

/// Where there is a kubectl.
std::vector<ClusterKind> real_cluster_kinds() {
  auto kinds = cluster_kinds();
  kinds.erase(kinds.begin());
  return kinds;
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(EventsForPeople);
INSTANTIATE_TEST_SUITE_P(On, EventsForPeople, testing::ValuesIn(real_cluster_kinds()),
                         [](const auto& kind) { return kind.param.name; });
INSTANTIATE_TEST_SUITE_P(On, EventsOfTheAgent, testing::ValuesIn(cluster_kinds()),
                         [](const auto& kind) { return kind.param.name; });

}  // namespace
}  // namespace topolb::kube
