// SPDX-License-Identifier: Apache-2.0
// plan, check and explain from a directory of manifests, end to end. Source: design.md 3 and 4.
#include <gtest/gtest.h>

#include "cli_run.h"

namespace topolb::cli {
namespace {

constexpr const char* kNodes = R"(
apiVersion: v1
kind: Node
metadata:
  name: n1
  labels: {kubernetes.io/hostname: n1, topology.kubernetes.io/zone: z1}
---
apiVersion: v1
kind: Node
metadata:
  name: n2
  labels: {kubernetes.io/hostname: n2, topology.kubernetes.io/zone: z1}
---
apiVersion: v1
kind: Node
metadata:
  name: n3
  labels: {kubernetes.io/hostname: n3, topology.kubernetes.io/zone: z2}
)";

constexpr const char* kWeb = R"(
apiVersion: v1
kind: Service
metadata:
  name: web
  namespace: default
  annotations: {topolb.io/topology-keys: "kubernetes.io/hostname, topology.kubernetes.io/zone"}
spec:
  clusterIP: 10.96.0.10
  ports: [{name: http, port: 80}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: web-1
  namespace: default
  labels: {kubernetes.io/service-name: web}
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints:
- {addresses: [10.1.0.5], nodeName: n2}
- {addresses: [10.1.0.10], nodeName: n2}
- {addresses: [10.1.0.9], nodeName: n3}
)";

constexpr const char* kBadKeys = R"(
apiVersion: v1
kind: Service
metadata:
  name: db
  namespace: default
  annotations: {topolb.io/topology-keys: "*, kubernetes.io/hostname"}
spec:
  clusterIP: 10.96.0.11
  ports: [{port: 5432}]
)";

class Manifests : public testing::Test {
 protected:
  void SetUp() override {
    directory_.write("nodes.yaml", kNodes);
    directory_.write("web.yaml", kWeb);
  }
  [[nodiscard]] Outcome run(std::vector<std::string> arguments) const {
    arguments.insert(arguments.end(), {"--manifests", directory_.path()});
    return topolb(arguments);
  }
  TemporaryDirectory directory_;
};

TEST_F(Manifests, PlanIsTheJsonOfTheContract) {
  const Outcome outcome = run({"plan", "--node", "n1", "-o", "json"});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(outcome.err, "");
  EXPECT_EQ(outcome.out,
            R"({"node": "n1",
 "services": [
  {"namespace": "default", "name": "web", )"
            R"("port": {"name": "http", "number": 80, "protocol": "TCP"}, "family": "IPv4", )"
            R"("frontends": [{"kind": "ClusterIP", "address": "10.96.0.10", "port": 80}], )"
            R"("internal": {"verdict": "forward", "tier": "topology.kubernetes.io/zone", )"
            R"("backends": ["10.1.0.10:8080", "10.1.0.5:8080"], )"
            R"("tiers": [{"key": "kubernetes.io/hostname", "backends": []}, )"
            R"({"key": "topology.kubernetes.io/zone", )"
            R"("backends": ["10.1.0.10:8080", "10.1.0.5:8080"]}]}, "external": null}],
 "problems": []}
)");
  EXPECT_EQ(run({"plan", "--node", "n1", "-o", "json"}).out, outcome.out);
}

TEST_F(Manifests, PlanIsATableByDefault) {
  EXPECT_EQ(run({"plan", "--node", "n1"}).out,
            "SERVICE      PORT    TRAFFIC   VERDICT  TIER  BACKENDS\n"
            "default/web  80/TCP  internal  forward  zone  10.1.0.10:8080, 10.1.0.5:8080\n");
}

TEST_F(Manifests, PlanWithProblemsExitsZeroAndListsEachOnce) {
  directory_.write("db.yaml", kBadKeys);
  directory_.write("broken.yaml", "a: [");
  const Outcome outcome = run({"plan", "--node", "n1", "-o", "json"});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(outcome.err, "");
  const auto problems = outcome.out.substr(outcome.out.find("\"problems\""));
  const auto file = problems.find(R"({"kind": "File", "namespace": "", "name": "broken.yaml", )"
                                  R"("reason": "InvalidManifest", "message": ")");
  const auto service = problems.find(R"({"kind": "Service", "namespace": "default", "name": "db", )"
                                     R"("reason": "InvalidTopologyKeys", "message": ")");
  ASSERT_NE(file, std::string::npos) << problems;
  ASSERT_NE(service, std::string::npos) << problems;
  EXPECT_LT(file, service) << "sorted";
  EXPECT_EQ(lines_of(problems).size(), 3U) << "each once:\n" << problems;
}

TEST_F(Manifests, PlanOfAnUnknownNodeWarnsInOneLine) {
  const Outcome outcome = run({"plan", "--node", "n9", "-o", "json"});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(outcome.err,
            "topolb: warning: there is no Node n9: it has no labels, so only '*' and policies "
            "match\n");
  EXPECT_NE(outcome.out.find(R"("verdict": "reject")"), std::string::npos);
  EXPECT_NE(outcome.out.find(R"("problems": []})"), std::string::npos);
}

TEST_F(Manifests, ScopeOptedInLeavesUnlabelledServicesAlone) {
  const Outcome outcome = run({"plan", "--node", "n1", "--scope", "opted-in"});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(outcome.out, "No Service to serve on node n1.\n");
}

TEST_F(Manifests, CheckExitsOneOnProblemsOnly) {
  const Outcome good = run({"check"});
  EXPECT_EQ(good.exit_code, 0);
  EXPECT_EQ(good.out, "No problems.\n");
  EXPECT_EQ(run({"check", "-o", "json"}).out, "{\"problems\": []}\n");

  directory_.write("db.yaml", kBadKeys);
  const Outcome bad = run({"check"});
  EXPECT_EQ(bad.exit_code, 1);
  EXPECT_EQ(bad.err, "");
  EXPECT_TRUE(bad.out.starts_with("Service  default/db  InvalidTopologyKeys\n    ")) << bad.out;
  EXPECT_TRUE(bad.out.ends_with("\n\n1 problem.\n")) << bad.out;
  const Outcome json = run({"check", "-o", "json"});
  EXPECT_EQ(json.exit_code, 1);
  EXPECT_TRUE(json.out.starts_with("{\"problems\": [\n  {\"kind\": \"Service\", ")) << json.out;
}

TEST_F(Manifests, ExplainSaysWhyHereAndWhyNotThere) {
  const Outcome outcome = run({"explain", "default/web:http", "--node", "n1"});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(outcome.err, "");
  const auto in = outcome.out.find("  in:  ");
  const auto near = outcome.out.find("10.1.0.5:8080   n2    z1    ready");
  const auto out = outcome.out.find("  out: ");
  const auto far = outcome.out.find("10.1.0.9:8080   n3    z2    ready");
  ASSERT_NE(far, std::string::npos) << outcome.out;
  EXPECT_TRUE(in < near && near < out && out < far) << outcome.out;
}

TEST_F(Manifests, ExplainOfWhatIsNotThereNamesWhatIs) {
  struct Case {
    std::string name;
    std::string line;
  };
  directory_.write("headless.yaml", R"(
apiVersion: v1
kind: Service
metadata: {name: headless, namespace: default}
spec: {clusterIP: None, ports: [{port: 80}]}
)");
  for (const auto& [name, line] : std::vector<Case>{
           {"default/nope", "no Service default/nope; namespace default has web"},
           {"nope/web", "no Service nope/web; there are Services in default"},
           {"default/web:81", "Service default/web has no port 81, but http (80/TCP)"},
           {"default/headless",
            "Service default/headless is not served: headless, ExternalName, or without cluster "
            "IP"}}) {
    const Outcome outcome = run({"explain", name, "--node", "n1"});
    EXPECT_EQ(outcome.exit_code, 1) << name;
    EXPECT_EQ(outcome.out, "") << name;
    EXPECT_EQ(outcome.err, "topolb: " + line + "\n");
  }
  EXPECT_EQ(run({"explain", "default/web", "--node", "n1", "--scope", "opted-in"}).err,
            "topolb: Service default/web is not served with this --scope and "
            "--service-proxy-name\n");
}

// Most often it is the wrong directory.
TEST(EmptyDirectory, IsWarnedOf) {
  const TemporaryDirectory empty;
  const Outcome check = topolb({"check", "--manifests", empty.path()});
  EXPECT_EQ(check.exit_code, 0);
  EXPECT_EQ(check.out, "No problems.\n");
  EXPECT_EQ(check.err, "topolb: warning: there are no objects in " + empty.path() + "\n");
}

}  // namespace
}  // namespace topolb::cli
