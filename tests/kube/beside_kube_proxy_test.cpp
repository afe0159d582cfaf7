// SPDX-License-Identifier: Apache-2.0
// One Service moves from a real kube-proxy to topolb and back by one label, and no client notices.
// Where KUBEBUILDER_ASSETS has a kube-proxy; agent_scope_test.cpp does the same with its rules.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>

#include "agent_cluster_fixture.h"
#include "net/process.h"
#include "real_cluster.h"

namespace topolb::kube {
namespace {

using test::Storm;
using test::wait_until;

constexpr int kMoves = 5;

class BesideKubeProxy : public AgentOfACluster {
 protected:
  BesideKubeProxy() {
    sandbox_.add_node_address("10.0.0.1");
    test::run("ip route add default via 10.0.0.254");
    const auto patched = dynamic_cast<RealCluster&>(*cluster).send(
        "PATCH", "/api/v1/nodes/n1/status",
        R"({"status":{"addresses":[{"type":"InternalIP","address":"10.0.0.1"}]}})");
    if (patched.status != 200) throw std::runtime_error("test: " + patched.body);
    write("admin.kubeconfig", cluster->kubeconfig());
    kube_proxy = std::make_unique<test::Process>(std::vector<std::string>{
        kubernetes_assets() + "/kube-proxy", "--kubeconfig", path("admin.kubeconfig").string(),
        "--proxy-mode=nftables", "--hostname-override=n1", "--cluster-cidr=10.1.0.0/16",
        "--nodeport-addresses=primary", "--conntrack-max-per-core=0", "--bind-address=10.0.0.1",
        "--healthz-bind-address=127.0.0.1:10256", "--metrics-bind-address=127.0.0.1:10249"});
  }
  ~BesideKubeProxy() override {
    if (HasFailure()) std::fprintf(stderr, "kube-proxy's log:\n%s", kube_proxy->err().c_str());
  }

  void label_web(const std::string& labels) {
    put(test::service_text({"web", "10.96.1.1", labels}));
  }
  [[nodiscard]] bool is_moved() const { return !state().services.empty(); }

  std::unique_ptr<test::Process> kube_proxy;
};

TEST_P(BesideKubeProxy, ALabelMovesAServiceThereAndBack) {
  ASSERT_TRUE(comes_to(kWeb, kOne)) << "kube-proxy serves nothing";
  start_agent({"--scope", "opted-in", "--listen", "127.0.0.1:10266"});
  Storm storm(kWeb, kPause);
  for (int i = 0; i < kMoves; ++i) {
    EXPECT_FALSE(is_moved());
    label_web("labels: {topolb.io/enabled: \"true\"}");
    EXPECT_TRUE(wait_until([&] { return is_moved(); }));
    EXPECT_TRUE(storm.goes_on());
    label_web("");
    EXPECT_TRUE(wait_until([&] { return !is_moved(); }));
    EXPECT_TRUE(storm.goes_on());
  }
  storm.stop();
  EXPECT_EQ(storm.failed(), 0);
}

std::vector<ClusterKind> kinds_with_kube_proxy() {
  std::vector<ClusterKind> kinds;
  const std::string program = kubernetes_assets() + "/kube-proxy";
  for (const ClusterKind& kind : cluster_kinds()) {
    if (kind.name == "Real" && access(program.c_str(), X_OK) == 0) kinds.push_back(kind);
  }
  return kinds;
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(BesideKubeProxy);
INSTANTIATE_TEST_SUITE_P(On, BesideKubeProxy, testing::ValuesIn(kinds_with_kube_proxy()),
                         [](const auto& tested) { return tested.param.name; });

}  // namespace
}  // namespace topolb::kube
