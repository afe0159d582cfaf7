// SPDX-License-Identifier: Apache-2.0
// From a directory of manifests to connections, and what the agent says of itself meanwhile.
// Source: design.md 4; docs/metrics.md.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <cerrno>
#include <fstream>

#include "agent_fixture.h"
#include "dataplane/pins.h"
#include "json_text.h"

namespace topolb::test {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

using AgentStart = AgentTest;

std::string own_node(const std::string& spec) {
  return "{apiVersion: v1, kind: Node, metadata: {name: n1}, spec: {" + spec + "}}\n";
}

// KEP-3836: load balancers leave a node that is about to go; the agent on it is as alive as before.
TEST_F(AgentStart, ANodeThatIsAboutToGoIsNotHealthy) {
  const auto leaving = own_node("taints: [{key: ToBeDeletedByClusterAutoscaler}]");
  const auto health_becomes = [](int status) {
    return wait_until([&] { return get("/healthz").status == status; });
  };
  write("node.yaml", own_node("taints: [{key: dedicated, effect: NoSchedule}]"));
  start_agent();
  EXPECT_EQ(get("/healthz").status, 200);
  replace("node.yaml", leaving);
  EXPECT_TRUE(health_becomes(503));
  EXPECT_FALSE(JsonText(get("/healthz").body).flag("/nodeEligible"));
  EXPECT_TRUE(JsonText(get("/healthz").body).flag("/healthy"));
  EXPECT_EQ(get("/livez").status, 200);
  EXPECT_EQ(get("/readyz").status, 200);
  replace("node.yaml", own_node(""));
  EXPECT_TRUE(health_becomes(200));
  remove("node.yaml");
  EXPECT_TRUE(health_becomes(503)) << "it has been deleted";
  EXPECT_EQ(get("/livez").status, 200);
}

TEST_F(AgentStart, ReadyIsLoggedOnceAndServed) {
  write("node.yaml", node_text("n1", {{"kubernetes.io/hostname", "n1"}}));
  write("web.yaml", web_text("web", "10.96.0.1", "10.1.0.1"));
  start_agent();
  EXPECT_THAT(agent().lines("ready: 1 Service ports in the kernel"), SizeIs(1)) << agent().err();
  EXPECT_THAT(agent().lines(), SizeIs(1)) << agent().err();

  const auto health = get("/healthz");
  EXPECT_EQ(health.status, 200);
  EXPECT_FALSE(JsonText(health.body).text("/lastUpdated").empty());
  EXPECT_TRUE(JsonText(health.body).flag("/nodeEligible"));
  EXPECT_TRUE(JsonText(health.body).flag("/status/IPv6/healthy"));
  EXPECT_EQ(get("/livez").status, 200);
  EXPECT_EQ(get("/readyz").status, 200);
  EXPECT_EQ(get("/nothing").status, 404);
  EXPECT_EQ(http_get(kListen, "/healthz", "OPTIONS").status, 200);

  const JsonText status(get("/v1/status").body);
  EXPECT_TRUE(status.flag("/ready"));
  EXPECT_EQ(status.number("/servicePorts"), 1);
  EXPECT_EQ(status.number("/problems"), 0);
  EXPECT_EQ(status.number("/operations"), 2);  // the Service, its frontend
  EXPECT_EQ(JsonText(get("/v1/problems").body).size("/problems"), 0U);
}

// The API server does not answer: no state is complete, and none must be made up.
TEST_F(AgentStart, NotReadyBeforeACompleteState) {
  std::ofstream(path("kubeconfig"))
      << "{apiVersion: v1, kind: Config, current-context: c,\n"
         " clusters: [{name: k, cluster: {server: 'https://127.0.0.1:1'}}],\n"
         " users: [{name: u, user: {token: t}}],\n"
         " contexts: [{name: c, context: {cluster: k, user: u}}]}\n";
  Process agent({topolbd_path(), "--node", "n1", "--kubeconfig", path("kubeconfig"), "--cgroup",
                 sandbox_.cgroup(), "--pin-path", sandbox_.pin_path(), "--listen", kListen});
  ASSERT_TRUE(wait_until([] { return get("/readyz").status == 503; })) << agent.err();
  EXPECT_EQ(get("/healthz").status, 200);
  EXPECT_FALSE(JsonText(get("/v1/status").body).flag("/ready"));
  EXPECT_EQ(metric("topolb_ready"), "0");
  const auto maps =
      dataplane::KernelMaps::open_pinned(sandbox_.pin_path(), dataplane::Access::ReadOnly);
  EXPECT_FALSE(maps) << "nothing is published, so nothing is pinned";
  for (const auto& hook : dataplane::read_hooks(sandbox_.pin_path())) EXPECT_FALSE(hook.attached);
  agent.signal(SIGTERM);
  EXPECT_EQ(agent.wait(), 0) << agent.err();
}

TEST_F(AgentStart, EveryKindOfFrontendComesToABackend) {
  serve("10.1.0.1:8080");
  serve("[fd00:1::1]:8080");
  sandbox_.add_node_address("192.0.2.10");
  write("web.yaml",
        service_text({.name = "web",
                      .cluster_ip = "10.96.0.1",
                      .spec = "clusterIPs: [10.96.0.1, \"fd00:96::1\"], type: LoadBalancer, "
                              "externalIPs: [198.51.100.1]}\n"
                              "status: {loadBalancer: {ingress: [{ip: 203.0.113.1}]}",
                      .ports = "{name: main, port: 80, nodePort: 30080}"}) +
            slice_text("web", {{"10.1.0.1"}}) + slice_text("web", {{"fd00:1::1"}}));
  start_agent();
  for (const char* frontend : {"10.96.0.1:80", "198.51.100.1:80", "203.0.113.1:80",
                               "192.0.2.10:30080", "127.0.0.1:30080"}) {
    const auto seen = dial_tcp(frontend);
    EXPECT_EQ(seen.backend, "10.1.0.1:8080") << frontend;
    EXPECT_EQ(seen.peer, frontend);
    EXPECT_EQ(dial_tcp(frontend, SocketFamily::MappedIpv6).backend, "10.1.0.1:8080") << frontend;
  }
  for (const char* frontend : {"[fd00:96::1]:80", "[::1]:30080"}) {
    const auto seen = dial_tcp(frontend);
    EXPECT_EQ(seen.backend, "[fd00:1::1]:8080") << frontend;
    EXPECT_EQ(seen.peer, frontend);
  }
}

TEST_F(AgentStart, MetricsCountConnectionsByTier) {
  serve("10.1.0.1:8080");
  write("objects.yaml",
        node_text("n1", {{"rack", "a"}}) + node_text("n2", {{"rack", "a"}}) +
            service_text({"web", "10.96.0.1", keys("kubernetes.io/hostname,rack")}) +
            slice_text("web", {{"10.1.0.1", "n2"}}) + service_text({"none", "10.96.0.2"}));
  start_agent();
  EXPECT_EQ(answers("10.96.0.1:80", 5), std::set<std::string>{"10.1.0.1:8080"});
  EXPECT_EQ(dial_tcp("10.96.0.2:80").error, ECONNREFUSED);
  const std::string web = R"(namespace="default",service="web",port="80",protocol="TCP",)"
                          R"(family="IPv4")";
  EXPECT_EQ(metric("topolb_connections_total{" + web + R"(,tier="rack"})"), "5");
  EXPECT_EQ(metric("topolb_refused_total{" + web + "}"), "0");
  EXPECT_EQ(metric(R"(topolb_refused_total{namespace="default",service="none",port="80",)"
                   R"(protocol="TCP",family="IPv4"})"),
            "1");
  EXPECT_EQ(metric("topolb_service_ports"), "2");
  EXPECT_EQ(metric("topolb_ready"), "1");
  EXPECT_EQ(metric(R"(topolb_map_entries{map="frontends"})"), "2");
}

TEST_F(AgentStart, ListensOnIpv6OrNotAtAll) {
  start_agent({"--listen", "[::1]:10256"});
  EXPECT_EQ(http_get("[::1]:10256", "/readyz").status, 200);
  EXPECT_EQ(stop_agent(SIGTERM), 0);
  start_agent({"--listen", ""});
  EXPECT_EQ(get("/readyz").status, 0);
}

}  // namespace
}  // namespace topolb::test
