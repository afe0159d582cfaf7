// SPDX-License-Identifier: Apache-2.0
// `topolb plan --all-nodes`. The shares themselves are core's (traffic_spread_test.cpp).
#include <gtest/gtest.h>

#include "cli_run.h"

namespace topolb::cli {
namespace {

/// n1, n2 and n3 in z1, n4 in z2, n5 without zone. web: one backend in each zone, and a NodePort.
constexpr const char* kCluster = R"(
{kind: Node, apiVersion: v1, metadata: {name: n1, labels: {topology.kubernetes.io/zone: z1, kubernetes.io/hostname: n1}}}
---
{kind: Node, apiVersion: v1, metadata: {name: n2, labels: {topology.kubernetes.io/zone: z1, kubernetes.io/hostname: n2}}}
---
{kind: Node, apiVersion: v1, metadata: {name: n3, labels: {topology.kubernetes.io/zone: z1, kubernetes.io/hostname: n3}}}
---
{kind: Node, apiVersion: v1, metadata: {name: n4, labels: {topology.kubernetes.io/zone: z2, kubernetes.io/hostname: n4}}}
---
{kind: Node, apiVersion: v1, metadata: {name: n5}}
---
{kind: Service, apiVersion: v1, metadata: {namespace: default, name: web, annotations: {topolb.io/topology-keys: "kubernetes.io/hostname, topology.kubernetes.io/zone"}},
 spec: {type: NodePort, clusterIP: 10.96.0.10, ports: [{name: http, port: 80, nodePort: 30080}]}}
---
{kind: EndpointSlice, apiVersion: discovery.k8s.io/v1, addressType: IPv4, metadata: {namespace: default, name: web-1, labels: {kubernetes.io/service-name: web}},
 ports: [{name: http, port: 8080}],
 endpoints: [{addresses: [10.1.0.1], nodeName: n1, conditions: {ready: true}}, {addresses: [10.1.0.4], nodeName: n4, conditions: {ready: true}}]}
---
{kind: Service, apiVersion: v1, metadata: {namespace: default, name: bad, annotations: {topolb.io/topology-keys: "*, rack"}},
 spec: {clusterIP: 10.96.0.11, ports: [{port: 5432}]}}
)";

class AllNodes : public testing::Test {
 protected:
  [[nodiscard]] Outcome run(const std::string& manifests, const std::string& output) const {
    directory_.write("all.yaml", manifests);
    return topolb({"plan", "--all-nodes", "--manifests", directory_.path(), "-o", output});
  }
  TemporaryDirectory directory_;
};

TEST_F(AllNodes, SaysWhatStandsOut) {
  const Outcome plan = run(kCluster, "table");
  EXPECT_EQ(plan.exit_code, 0);
  EXPECT_EQ(plan.err, "");
  EXPECT_EQ(plan.out,
            "5 nodes, 2 Service ports; every node is taken to send as much as any other.\n"
            "\n"
            "SERVICE      PORT      TRAFFIC   NODES BY TIER           BACKENDS  IN ZONE  PEAK\n"
            "default/bad  5432/TCP  internal  refused 5                      0        -     -\n"
            "default/web  80/TCP    internal  hostname 2, zone 2,            2    100 %   1.5\n"
            "                                 refused 1\n"
            "                       external  hostname 2, zone 2,            2    100 %   1.5\n"
            "                                 refused 1\n"
            "\n"
            "Nodes without a backend\n"
            "SERVICE      PORT      TRAFFIC   VERDICT  COUNT  NODES\n"
            "default/bad  5432/TCP  internal  reject       5  n1, n2, n3, n4, n5\n"
            "default/web  80/TCP    internal  reject       1  n5\n"
            "                       external  reject       1  n5\n"
            "\n"
            "Nodes: internal traffic to their backends, and Service ports that refuse them\n"
            "NODE  SHARE  LOAD  REFUSED\n"
            "n5      0 %     -        2\n"
            "n1     30 %   1.5        1\n"
            "n4     10 %   0.5        1\n"
            "n2      0 %     -        1\n"
            "n3      0 %     -        1\n"
            "\n"
            "1 problem:\n"
            "Service  default/bad  InvalidTopologyKeys\n"
            "    topology key \"*\" is not the last: keys after it could never be reached;\n"
            "      connections to this Service are refused until it is corrected (file\n"
            "      all.yaml)\n");
}

// n5 in z1, too: four nodes of five, on one backend of two.
TEST_F(AllNodes, NamesWhatIsOverloaded) {
  std::string cluster = kCluster;
  const std::string bare = "{name: n5}";
  cluster.replace(cluster.find(bare), bare.size(),
                  "{name: n5, labels: {topology.kubernetes.io/zone: z1}}");
  const Outcome plan = run(cluster, "table");
  EXPECT_NE(plan.out.find("\n"
                          "Overloaded: more than 1.5 times a fair share\n"
                          "SERVICE      PORT    TRAFFIC   WHERE                SHARE  LOAD\n"
                          "default/web  80/TCP  internal  zone=z1               80 %   1.6\n"
                          "                               10.1.0.1:8080 on n1   80 %   1.6\n"
                          "                     external  zone=z1               80 %   1.6\n"
                          "                               10.1.0.1:8080 on n1   80 %   1.6\n"
                          "\n"),
            std::string::npos)
      << plan.out;
}

TEST_F(AllNodes, AreCompleteAsJson) {
  const Outcome plan = run(kCluster, "json");
  EXPECT_EQ(plan.exit_code, 0);
  const std::string web =
      R"({"namespace": "default", "name": "web", "port": {"name": "http", "number": 80, )"
      R"("protocol": "TCP"}, "family": "IPv4", "internal": {"outcomes": [)"
      R"({"verdict": "forward", "tier": "kubernetes.io/hostname", )"
      R"("backends": ["10.1.0.1:8080"], "nodes": ["n1"]}, )"
      R"({"verdict": "forward", "tier": "topology.kubernetes.io/zone", )"
      R"("backends": ["10.1.0.1:8080"], "nodes": ["n2", "n3"]}, )"
      R"({"verdict": "forward", "tier": "kubernetes.io/hostname", )"
      R"("backends": ["10.1.0.4:8080"], "nodes": ["n4"]}, )"
      R"({"verdict": "reject", "tier": null, "backends": [], "nodes": ["n5"]}], )"
      R"("backends": [{"address": "10.1.0.1:8080", "node": "n1", "share": 0.6, "ratio": 1.5}, )"
      R"({"address": "10.1.0.4:8080", "node": "n4", "share": 0.2, "ratio": 0.5}], )"
      R"("domains": [{"key": "topology.kubernetes.io/zone", "value": "z1", "nodes": 3, )"
      R"("refused_nodes": 0, "backends": 1, "sent": 0.6, "kept": 0.6, "share": 0.6, )"
      R"("ratio": 1.5}, {"key": "topology.kubernetes.io/zone", "value": "z2", "nodes": 1, )"
      R"("refused_nodes": 0, "backends": 1, "sent": 0.2, "kept": 0.2, "share": 0.2, )"
      R"("ratio": 0.5}, {"key": "topology.kubernetes.io/zone", "value": null, "nodes": 1, )"
      R"("refused_nodes": 1, "backends": 0, "sent": 0.2, "kept": 0, "share": 0, "ratio": 0}]}, )"
      R"("external": {"outcomes": [)";
  EXPECT_NE(plan.out.find(web), std::string::npos) << plan.out;
  EXPECT_NE(plan.out.find(R"(
 "nodes": [
  {"name": "n1", "refused_service_ports": 1, "share": 0.3, "ratio": 1.5},)"),
            std::string::npos)
      << plan.out;
  EXPECT_NE(plan.out.find(R"("reason": "InvalidTopologyKeys")"), std::string::npos);
}

TEST_F(AllNodes, MayBeNone) {
  EXPECT_EQ(run("", "table").out, "No Nodes.\n");
  EXPECT_EQ(run("{kind: Node, apiVersion: v1, metadata: {name: n1}}", "table").out,
            "No Service to serve.\n");
  const Outcome json = run("", "json");
  EXPECT_EQ(json.exit_code, 0);
  EXPECT_NE(json.out.find("\"services\": [],\n \"nodes\": [],\n \"problems\": []}\n"),
            std::string::npos)
      << json.out;
}

}  // namespace
}  // namespace topolb::cli
