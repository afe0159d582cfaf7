// SPDX-License-Identifier: Apache-2.0
// What holds against any API server: the simulated one, and a real one where there is one.
#include <gtest/gtest.h>

#include "cluster_view.h"
#include "kube/api_client.h"
#include "objects.h"
#include "test_cluster.h"

namespace topolb::kube {
namespace {

class ClusterTest : public testing::TestWithParam<ClusterKind> {
 protected:
  ClusterTest() : cluster(GetParam().make()) {
    for (int i = 1; i <= 5; ++i) {
      cluster->put(service(fmt::format("s{}", i), fmt::format("10.96.1.{}", i)));
    }
    cluster->put(slice("s1-a", "s1", "10.1.0.1"));
    cluster->put(node("n1", "z1"));
    cluster->put(node("n2", "z2"));
    names = {"Service/default/s1",
             "Service/default/s2",
             "Service/default/s3",
             "Service/default/s4",
             "Service/default/s5",
             "EndpointSlice/default/s1-a",
             "Node//n1"};
  }

  std::unique_ptr<ClusterView> follow(ClusterSourceOptions options = ClusterView::fast_options()) {
    auto view = std::make_unique<ClusterView>(
        std::make_shared<ApiClient>(cluster->config(), make_transport(),
                                    [](const std::string&) { return std::string(); }),
        options);
    EXPECT_TRUE(view->wait_synced()) << view->errors();
    EXPECT_EQ(own(*view), names);
    return view;
  }

  /// Without what a real API server creates by itself.
  static std::set<std::string> own(const ClusterView& view) {
    std::set<std::string> all = view.names();
    all.erase("Service/default/kubernetes");
    all.erase("EndpointSlice/default/kubernetes");
    return all;
  }

  bool becomes(ClusterView& view, const std::set<std::string>& wanted) {
    return view.wait([&] { return own(view) == wanted; }, 30s);
  }

  std::unique_ptr<TestCluster> cluster;
  std::set<std::string> names;
};

TEST_P(ClusterTest, FollowsEveryKind) {
  const auto view = follow();
  cluster->put(slice("s1-b", "s1", "10.1.0.2"));
  cluster->put(service("s6", "10.96.1.6"));
  cluster->remove("Service", "default", "s5");
  cluster->put(node("n1", "z9"));
  names.insert({"EndpointSlice/default/s1-b", "Service/default/s6"});
  names.erase("Service/default/s5");
  EXPECT_TRUE(becomes(*view, names)) << view->errors();
  EXPECT_TRUE(view->wait([&] {
    const auto& own_node = std::get<core::Node>(view->find("Node//n1")->object);
    return own_node.labels.at(std::string(core::kZoneLabel)) == "z9";
  }));
}

TEST_P(ClusterTest, FollowsEveryNodeOnDemandOnly) {
  const auto view = follow();
  view->source->watch_all_nodes(true);
  ASSERT_TRUE(view->wait_synced());
  auto with_all = names;
  with_all.insert("Node//n2");
  EXPECT_TRUE(becomes(*view, with_all));
  view->source->watch_all_nodes(false);
  EXPECT_TRUE(becomes(*view, names));
}

TEST_P(ClusterTest, LeavesOutWhatIsNotServed) {
  cluster->put(service("other", "10.96.1.7",
                       R"("service.kubernetes.io/service-proxy-name":"someone-else")"));
  cluster->put(slice("headless", "s1", "10.1.0.9", R"(,"service.kubernetes.io/headless":"")"));
  const auto view = follow();
  EXPECT_EQ(own(*view), names);
}

TEST_P(ClusterTest, SurvivesARestartOfTheServer) {
  const auto view = follow();
  cluster->stop();
  EXPECT_TRUE(view->removes_nothing(500ms));
  cluster->start();
  cluster->put(slice("s1-b", "s1", "10.1.0.2"));
  names.insert("EndpointSlice/default/s1-b");
  EXPECT_TRUE(becomes(*view, names)) << view->errors();
  EXPECT_EQ(view->removed, std::set<std::string>{});
}

TEST_P(ClusterTest, SurvivesACutCable) {
  const auto view = follow();
  const auto puts = view->puts;
  cluster->cable().cut();
  cluster->put(slice("s1-b", "s1", "10.1.0.2"));
  EXPECT_TRUE(view->removes_nothing(500ms));
  cluster->cable().mend();
  names.insert("EndpointSlice/default/s1-b");
  EXPECT_TRUE(becomes(*view, names)) << view->errors();
  EXPECT_EQ(view->removed, std::set<std::string>{});
  EXPECT_EQ(view->puts, puts + 1);
}

TEST_P(ClusterTest, FindsAHalfOpenConnection) {
  auto options = ClusterView::fast_options();
  options.reflector.watch_deadlines.idle = 1s;
  const auto view = follow(options);
  cluster->put(slice("s1-b", "s1", "10.1.0.2"));
  names.insert("EndpointSlice/default/s1-b");
  ASSERT_TRUE(becomes(*view, names)) << view->errors();  // the watch is open
  cluster->cable().freeze();
  cluster->put(slice("s1-c", "s1", "10.1.0.3"));
  names.insert("EndpointSlice/default/s1-c");
  EXPECT_TRUE(becomes(*view, names)) << view->errors();
  EXPECT_EQ(view->removed, std::set<std::string>{});
}

TEST_P(ClusterTest, AForgottenVersionMeansTheDifferencesOnly) {
  const auto view = follow();
  const auto puts = view->puts;
  cluster->cable().cut();
  cluster->remove("Service", "default", "s2");
  cluster->put(slice("s1-b", "s1", "10.1.0.2"));
  cluster->forget_history();
  cluster->cable().mend();
  names.erase("Service/default/s2");
  names.insert("EndpointSlice/default/s1-b");
  EXPECT_TRUE(becomes(*view, names)) << view->errors();
  EXPECT_EQ(view->removed, std::set<std::string>{"Service/default/s2"});
  // A real server may write its own Service's slice anew when it starts.
  EXPECT_LE(view->puts, puts + 2);
}

INSTANTIATE_TEST_SUITE_P(On, ClusterTest, testing::ValuesIn(cluster_kinds()),
                         [](const auto& tested) { return tested.param.name; });

}  // namespace
}  // namespace topolb::kube
