// SPDX-License-Identifier: Apache-2.0
// `topolb plan` and `check` of a live cluster. Source: design.md 4.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "api_server.h"
#include "cli_run.h"
#include "objects.h"

namespace topolb::cli {
namespace {

class CliOfACluster : public testing::Test {
 protected:
  void SetUp() override {
    server_.store().put(kube::service("web", "10.96.0.1"));
    server_.store().put(kube::slice("web-1", "web", "10.1.0.1"));
    server_.store().put(kube::node("n1", "z1"));
    directory_.write("ca.pem", server_.authority().certificate_pem());
    directory_.write("config", fmt::format(R"(
apiVersion: v1
kind: Config
current-context: test
contexts: [{{name: test, context: {{cluster: test, user: test}}}}]
clusters: [{{name: test, cluster: {{server: "{}", certificate-authority: ca.pem}}}}]
users: [{{name: test, user: {{}}}}]
)",
                                           server_.url()));
  }
  [[nodiscard]] Outcome run(std::vector<std::string> arguments) const {
    arguments.insert(arguments.end(), {"--kubeconfig", directory_.path() + "/config"});
    return topolb(arguments);
  }
  test::ApiServer server_;
  TemporaryDirectory directory_;
};

constexpr const char* kPlan =
    "SERVICE      PORT    TRAFFIC   VERDICT  TIER  BACKENDS\n"
    "default/web  80/TCP  internal  forward  -     10.1.0.1:8080\n";

TEST_F(CliOfACluster, PlansFromCompleteLists) {
  const Outcome plan = run({"plan", "--node", "n1"});
  EXPECT_EQ(plan.exit_code, 0);
  EXPECT_EQ(plan.err, "");
  EXPECT_EQ(plan.out, kPlan);
  const Outcome check = run({"check"});
  EXPECT_EQ(check.exit_code, 0);
  EXPECT_EQ(check.out, "No problems.\n");
}

TEST_F(CliOfACluster, SeesEveryNode) {
  server_.store().put(kube::node("n2", "z2"));
  EXPECT_EQ(run({"plan", "--node", "n2"}).err, "");
  EXPECT_EQ(run({"plan", "--node", "n3"}).err,
            "topolb: warning: there is no Node n3: it has no labels, so only '*' and policies "
            "match\n");
}

// Unknown is not empty: a list that fails once is asked for again.
TEST_F(CliOfACluster, OutlastsAShortFailure) {
  server_.inject({.target = "/endpointslices", .times = 1, .status = 500, .body = "{}"});
  const Outcome plan = run({"plan", "--node", "n1"});
  EXPECT_EQ(plan.exit_code, 0);
  EXPECT_EQ(plan.out, kPlan);
}

TEST_F(CliOfACluster, GivesUpInOneLine) {
  server_.inject({.target = "/endpointslices", .times = 1000, .status = 403, .body = "{}"});
  const Outcome plan = run({"plan", "--node", "n1"});
  EXPECT_EQ(plan.exit_code, 2);
  EXPECT_EQ(plan.out, "") << "no plan from half of the objects";
  EXPECT_EQ(lines_of(plan.err).size(), 1U) << plan.err;
  EXPECT_NE(plan.err.find("403"), std::string::npos) << plan.err;
}

TEST_F(CliOfACluster, NamesTheKubeconfigThatIsWrong) {
  const Outcome outcome = topolb({"check", "--kubeconfig", "/nonexistent"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_EQ(outcome.err, "topolb: read kubeconfig /nonexistent: No such file or directory\n");
}

}  // namespace
}  // namespace topolb::cli
