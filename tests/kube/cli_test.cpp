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

// Unknown is not empty: no answer from half of the objects.
TEST_F(CliOfACluster, GivesUpInOneLine) {
  const std::vector<std::vector<std::string>> commands{{"plan", "--node", "n1"},
                                                       {"plan", "--all-nodes"},
                                                       {"check"},
                                                       {"explain", "default/web", "--node", "n1"}};
  for (const char* kind : {"/services", "/endpointslices", "/nodes"}) {
    server_.inject({.target = kind, .times = 4, .status = 403, .body = "{}"});
    for (const auto& command : commands) {
      const Outcome outcome = run(command);
      EXPECT_EQ(outcome.exit_code, 2);
      EXPECT_EQ(outcome.out, "");
      EXPECT_EQ(lines_of(outcome.err).size(), 1U) << outcome.err;
      EXPECT_NE(outcome.err.find(std::string(kind) + ": "), std::string::npos) << outcome.err;
      EXPECT_NE(outcome.err.find("403"), std::string::npos) << outcome.err;
    }
  }
}

TEST_F(CliOfACluster, GivesUpAfterAWhile) {
  server_.inject({.target = "/nodes", .times = 1000, .status = 503, .body = "{}"});
  EXPECT_EQ(run({"check"}).exit_code, 2);
}

TEST_F(CliOfACluster, IsExplained) {
  const Outcome explain = run({"explain", "default/web", "--node", "n1"});
  EXPECT_EQ(explain.exit_code, 0);
  EXPECT_EQ(explain.err, "");
  EXPECT_NE(explain.out.find("10.1.0.1:8080"), std::string::npos) << explain.out;
}

// Pages, and one that is too old: the list begins anew.
TEST_F(CliOfACluster, IsReadToItsEnd) {
  for (int i = 0; i < 1100; ++i) {
    server_.store().put(
        kube::service(fmt::format("s{}", i), fmt::format("10.97.{}.{}", i / 250, i % 250 + 1)));
  }
  server_.inject({.target = "continue=1000", .times = 1, .status = 410, .body = "{}"});
  const Outcome plan = run({"plan", "--node", "n1", "-o", "json"});
  EXPECT_EQ(plan.exit_code, 0);
  const auto document = web::json::value::parse(plan.out);
  EXPECT_EQ(document.at("services").size(), 1101U);
  EXPECT_EQ(server_.requests("/services?").size(), 6U);
}

/// The Status that a refusal has as its body.
std::string refusal(int code, const std::string& message) {
  return fmt::format(R"({{"kind":"Status","apiVersion":"v1","status":"Failure","message":"{}",)"
                     R"("code":{}}})",
                     message, code);
}

constexpr const char* kPatch = "fieldManager=topolb";

TEST_F(CliOfACluster, SetsKeysAnewAfterAConflict) {
  server_.inject({.target = kPatch, .times = 2, .status = 409, .body = refusal(409, "changed")});
  EXPECT_EQ(run({"topology", "set", "default/web", "*"}).exit_code, 0);
  EXPECT_EQ(server_.requests("/services/web").size(), 6U) << "three times read and written";
  server_.inject({.target = kPatch, .times = 99, .status = 409, .body = refusal(409, "changed")});
  const Outcome refused = run({"topology", "set", "default/web", "rack"});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_NE(refused.err.find("changed: HTTP status 409\n"), std::string::npos) << refused.err;
}

TEST_F(CliOfACluster, SaysInOneLineThatYouMayNot) {
  const std::string words = "User x cannot patch resource services";
  server_.inject({.target = kPatch, .times = 2, .status = 403, .body = refusal(403, words)});
  const Outcome set = run({"topology", "set", "default/web", "*"});
  EXPECT_EQ(set.exit_code, 2);
  EXPECT_EQ(set.out, "");
  EXPECT_EQ(set.err, "topolb: PATCH /api/v1/namespaces/default/services/web: " + words +
                         ": HTTP status 403\n");
  const Outcome preview = run({"topology", "set", "default/web", "*", "--dry-run"});
  EXPECT_EQ(preview.exit_code, 0) << "looking is allowed";
  EXPECT_EQ(preview.err, "topolb: warning: PATCH /api/v1/namespaces/default/services/web: " +
                             words + ": HTTP status 403\n");
  server_.inject({.target = "/nodes?limit=500",
                  .times = 1,
                  .status = 403,
                  .body = refusal(403, "User x cannot list nodes")});
  const Outcome blind = run({"topology", "set", "default/web", "*", "--dry-run"});
  EXPECT_EQ(blind.exit_code, 2) << "unknown is not empty";
  EXPECT_EQ(blind.out, "");
}

// A cluster before 1.22; this server keeps whatever it is sent.
TEST_F(CliOfACluster, WritesTheSpecOfOldClusters) {
  EXPECT_EQ(run({"topology", "set", "default/web", "rack", "*", "--spec"}).exit_code, 0);
  EXPECT_NE(server_.store()
                .get("Service", "default", "web")
                ->serialize()
                .find(R"("topologyKeys":["rack","*"])"),
            std::string::npos);
  EXPECT_EQ(run({"topology", "get", "default/web"}).out,
            "Service        default/web\n"
            "Topology keys  rack\n"
            "               *\n"
            "From           spec.topologyKeys\n"
            "Valid          yes\n");
  const Outcome unset = run({"topology", "unset", "default/web"});
  EXPECT_EQ(unset.exit_code, 1);
  EXPECT_EQ(
      unset.err,
      "topolb: the keys are in spec.topologyKeys: topolb topology unset default/web --spec\n");
  EXPECT_EQ(run({"topology", "set", "default/web", "*"}).exit_code, 0) << "the annotation wins";
  EXPECT_NE(run({"topology", "get", "default/web"})
                .out.find("Not used       spec.topologyKeys: "
                          "rack, *\n"),
            std::string::npos);
  const Outcome hidden = run({"topology", "set", "default/web", "zone", "--spec"});
  EXPECT_EQ(hidden.exit_code, 1);
  EXPECT_EQ(hidden.err,
            "topolb: the annotation topolb.io/topology-keys wins over spec.topologyKeys: first, "
            "topolb topology unset default/web\n");
  EXPECT_EQ(run({"topology", "unset", "default/web"}).exit_code, 0);
  EXPECT_EQ(run({"topology", "unset", "default/web", "--spec"}).exit_code, 0);
  EXPECT_EQ(run({"topology", "get", "default/web", "-o", "json"}).out,
            "{\"namespace\": \"default\",\n \"name\": \"web\",\n \"source\": \"none\",\n"
            " \"keys\": [],\n \"valid\": true,\n \"reason\": null,\n \"message\": null,\n"
            " \"annotation\": null,\n \"spec\": [],\n \"served\": true}\n");
}

// The words are those of Kubernetes 1.36.
TEST_F(CliOfACluster, SaysThatNewClustersHaveNoSuchField) {
  server_.inject({.target = kPatch,
                  .times = 1,
                  .status = 422,
                  .body = refusal(422, "strict decoding error: unknown field spec.topologyKeys")});
  const Outcome set = run({"topology", "set", "default/web", "*", "--spec"});
  EXPECT_EQ(set.exit_code, 1);
  EXPECT_EQ(set.err,
            "topolb: this cluster has no spec.topologyKeys, which went away in Kubernetes 1.22: "
            "leave --spec out, to use the annotation\n");
}

TEST_F(CliOfACluster, FindsTheClusterAsKubectlDoes) {
  const std::string config = directory_.path() + "/config";
  ::setenv("KUBECONFIG", config.c_str(), 1);
  EXPECT_EQ(topolb({"topology", "get", "default/web"}).exit_code, 0);
  EXPECT_EQ(topolb({"topology", "get", "default/web", "--context", "other"}).err,
            "topolb: kubeconfig " + config + ": contexts: no entry is called 'other'\n");
  ::setenv("KUBECONFIG", "/nonexistent", 1);
  EXPECT_EQ(topolb({"topology", "get", "default/web"}).err,
            "topolb: no cluster is known: there is no --kubeconfig, no file of KUBECONFIG and no "
            "~/.kube/config, and this is no pod\n");
  ::unsetenv("KUBECONFIG");
}

TEST_F(CliOfACluster, CompletesNamesFromTheCluster) {
  auto node = kube::node("n2", "z1");
  node["metadata"]["labels"]["example.com/rack"] = web::json::value("r1");
  server_.store().put(node);
  const std::string config = directory_.path() + "/config";
  const auto offered = [&](std::vector<std::string> words) {
    words.insert(words.begin(), "__complete");
    const Outcome outcome = topolb(words);
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_EQ(outcome.err, "");
    return outcome.out;
  };
  EXPECT_EQ(offered({"topology", "get", "--kubeconfig", config, "default/"}), "default/web\n:4\n");
  EXPECT_EQ(server_.requests("/namespaces/default/services").size(), 1U) << "only what is meant";
  EXPECT_EQ(offered({"plan", "--kubeconfig", config, "--node", ""}), "n1\nn2\n:4\n");
  EXPECT_EQ(offered({"topology", "set", "--kubeconfig", config, "default/web", "ex"}),
            "example.com/rack\n:4\n");
  server_.stop();
  EXPECT_EQ(offered({"topology", "get", "--kubeconfig", config, "default/"}), ":4\n")
      << "nobody wants an error at a TAB";
}

TEST_F(CliOfACluster, ShowsInvalidKeysAsTheyAreWritten) {
  auto service = kube::service("web", "10.96.0.1");
  service["metadata"]["annotations"]["topolb.io/topology-keys"] = web::json::value("*, rack");
  server_.store().put(service);
  const Outcome get = run({"topology", "get", "default/web"});
  EXPECT_EQ(get.exit_code, 0);
  EXPECT_EQ(get.out,
            "Service        default/web\n"
            "Topology keys  *, rack\n"
            "From           annotation topolb.io/topology-keys\n"
            "Valid          no: topology key \"*\" is not the last: keys after it could never\n"
            "               be reached; connections to this Service are refused until it is\n"
            "               corrected\n");
}

TEST_F(CliOfACluster, NamesTheKubeconfigThatIsWrong) {
  const Outcome outcome = topolb({"check", "--kubeconfig", "/nonexistent"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_EQ(outcome.err, "topolb: read kubeconfig /nonexistent: No such file or directory\n");
}

}  // namespace
}  // namespace topolb::cli
