// SPDX-License-Identifier: Apache-2.0
// healthCheckNodePorts: what load balancers are told about this node, as kube-proxy tells them.
// Source: kube-proxy's pkg/proxy/healthcheck; Kubernetes API, ServiceSpec.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <memory>

#include "agent_fixture.h"

namespace topolb::test {
namespace {

using ::testing::HasSubstr;

const std::string kNode = "192.0.2.10";
const std::string kCheck = kNode + ":30100";

std::string balanced(const std::string& name, const std::string& cluster_ip, int port,
                     const std::string& metadata = "") {
  return service_text({.name = name,
                       .cluster_ip = cluster_ip,
                       .metadata = metadata,
                       .spec = fmt::format("type: LoadBalancer, externalTrafficPolicy: Local, "
                                           "healthCheckNodePort: {}",
                                           port)});
}

std::string answer_text(int endpoints, const std::string& name = "web") {
  return fmt::format(
      "{{\n\t\"service\": {{\n\t\t\"namespace\": \"default\",\n\t\t\"name\": \"{}\"\n\t}},\n"
      "\t\"localEndpoints\": {},\n\t\"serviceProxyHealthy\": true\n}}",
      name, endpoints);
}

bool is_answered(const std::string& server, int status) {
  return wait_until([&] { return http_get(server, "/").status == status; });
}

class ServiceHealth : public AgentTest {
 protected:
  ServiceHealth() {
    sandbox_.add_node_address(kNode);
    sandbox_.add_node_address("fd00:2::10");
    write("web.yaml", balanced("web", "10.96.0.1", 30100));
    write("slice.yaml", slice_text("web", {{"10.1.0.1", "n1"}}));
  }
};

TEST_F(ServiceHealth, AnswersAsKubeProxyDoes) {
  start_agent();
  for (const char* path : {"/", "/healthz", "/anything"}) {
    const auto answer = http_get(kCheck, path);
    EXPECT_EQ(answer.status, 200) << path;
    EXPECT_EQ(http_get(kCheck, path, "OPTIONS").status, 200) << "HAProxy's way to ask";
    EXPECT_EQ(answer.body, answer_text(1));
    EXPECT_THAT(answer.head, HasSubstr("\r\nContent-Type: application/json\r\n"));
    EXPECT_THAT(answer.head, HasSubstr("\r\nX-Content-Type-Options: nosniff\r\n"));
    EXPECT_THAT(answer.head, HasSubstr("\r\nX-Load-Balancing-Endpoint-Weight: 1\r\n"));
  }
  replace("slice.yaml", slice_text("web", {{"10.1.0.1", "n2"}}));
  EXPECT_TRUE(is_answered(kCheck, 503)) << "it has moved";
  const auto none = http_get(kCheck, "/");
  EXPECT_EQ(none.body, answer_text(0));
  EXPECT_THAT(none.head, HasSubstr("\r\nX-Load-Balancing-Endpoint-Weight: 0\r\n"));
}

TEST_F(ServiceHealth, FollowsTheReadyEndpointsOfThisNode) {
  start_agent();
  const auto comes_to = [&](const std::vector<EndpointText>& endpoints, int count) {
    replace("slice.yaml", slice_text("web", endpoints));
    return wait_until([&] { return http_get(kCheck, "/").body == answer_text(count); });
  };
  EXPECT_TRUE(comes_to({{"10.1.0.1", "n1"}, {"10.1.0.2", "n1"}, {"10.1.0.3", "n2"}}, 2));
  EXPECT_TRUE(comes_to({{"10.1.0.1", "n1", "conditions: {ready: false}"}}, 0));
  EXPECT_TRUE(comes_to({{"10.1.0.1", "n1"}}, 1));
  EXPECT_TRUE(comes_to(
      {{"10.1.0.1", "n1", "conditions: {ready: false, serving: true, terminating: true}"}}, 0))
      << "it still gets connections, but no new ones are to be sent here";
  EXPECT_TRUE(comes_to({{"10.1.0.1", "n1"}}, 1));
  remove("slice.yaml");
  EXPECT_TRUE(is_answered(kCheck, 503));
}

TEST_F(ServiceHealth, EachFamilyAnswersForItsOwnEndpoints) {
  replace("web.yaml",
          service_text({.name = "web",
                        .cluster_ip = "10.96.0.1",
                        .spec = "clusterIPs: [10.96.0.1, \"fd00:96::1\"], type: LoadBalancer, "
                                "externalTrafficPolicy: Local, healthCheckNodePort: 30100"}));
  write("v6.yaml", slice_text("web", {{"fd00:1::1", "n2"}}));
  start_agent();
  EXPECT_EQ(http_get(kCheck, "/").status, 200);
  EXPECT_EQ(http_get("[fd00:2::10]:30100", "/").status, 503);
}

// As NodePorts: kube-proxy's --nodeport-addresses.
TEST_F(ServiceHealth, ListensWhereNodePortsAnswer) {
  sandbox_.add_node_address("192.0.2.11");
  start_agent({"--node-ip", kNode});
  EXPECT_EQ(http_get(kCheck, "/").status, 200);
  EXPECT_EQ(http_get("192.0.2.11:30100", "/").status, 0) << "not the node's primary address";
  EXPECT_EQ(http_get("[fd00:2::10]:30100", "/").status, 0) << "the Service has no IPv6 address";
  stop_agent(SIGTERM);
  start_agent({"--nodeport-addresses", "192.0.2.0/24"});
  EXPECT_EQ(http_get("192.0.2.11:30100", "/").status, 200);
  EXPECT_EQ(http_get("127.0.0.1:30100", "/").status, 0);
  sandbox_.add_node_address("192.0.2.12");
  EXPECT_TRUE(is_answered("192.0.2.12:30100", 200)) << "an address that came later";
  stop_agent(SIGTERM);
  start_agent({"--nodeport-addresses", "0.0.0.0/0"});
  EXPECT_EQ(http_get("127.0.0.1:30100", "/").status, 200);
}

// Under kube-proxy's names.
TEST_F(ServiceHealth, ProbesAndChangesAreCounted) {
  start_agent();
  EXPECT_EQ(get("/healthz").status, 200);
  EXPECT_EQ(get("/livez").status, 200);
  EXPECT_EQ(metric("kubeproxy_proxy_healthz_total{code=\"200\"}"), "1");
  EXPECT_EQ(metric("kubeproxy_proxy_livez_total{code=\"200\"}"), "1");
  EXPECT_EQ(metric("kubeproxy_sync_proxy_rules_service_changes_total"), "1");
  EXPECT_EQ(metric("kubeproxy_sync_proxy_rules_endpoint_changes_total"), "1");
  EXPECT_EQ(metric("kubeproxy_sync_proxy_rules_endpoint_changes_pending"), "0");
  EXPECT_EQ(metric("kubeproxy_sync_proxy_rules_duration_seconds_count{ip_family=\"IPv4\"}"), "1");
  EXPECT_EQ(metric("kubeproxy_network_programming_duration_seconds_count{ip_family=\"IPv4\"}"),
            "0");
}

TEST_F(ServiceHealth, ComesAndGoesWithTheService) {
  start_agent();
  replace("web.yaml", balanced("web", "10.96.0.1", 30101));
  EXPECT_TRUE(is_answered(kNode + ":30101", 200));
  EXPECT_EQ(http_get(kCheck, "/").status, 0);
  // In one batch the port goes to another Service.
  replace("web.yaml", balanced("db", "10.96.0.2", 30101));
  EXPECT_TRUE(
      wait_until([] { return http_get(kNode + ":30101", "/").body == answer_text(0, "db"); }));
  replace("web.yaml", service_text({.name = "db",
                                    .cluster_ip = "10.96.0.2",
                                    .spec = "type: LoadBalancer, healthCheckNodePort: 30101"}));
  EXPECT_TRUE(is_answered(kNode + ":30101", 0)) << "externalTrafficPolicy: Cluster";
  replace("web.yaml", balanced("web", "10.96.0.1", 30100));
  EXPECT_TRUE(is_answered(kCheck, 200));
  remove("web.yaml");
  EXPECT_TRUE(is_answered(kCheck, 0));
}

TEST_F(ServiceHealth, OfServicesLeftToOthersIsTheirs) {
  start_agent({"--scope", "opted-in"});
  EXPECT_EQ(http_get(kCheck, "/").status, 0);
  replace("web.yaml", balanced("web", "10.96.0.1", 30100, "labels: {topolb.io/enabled: \"true\"}"));
  EXPECT_TRUE(is_answered(kCheck, 200));
  replace("web.yaml", balanced("web", "10.96.0.1", 30100));
  EXPECT_TRUE(is_answered(kCheck, 0));
}

TEST_F(ServiceHealth, APortThatIsTakenIsAProblemUntilItIsFree) {
  auto taken = std::make_unique<Server>(kCheck, Protocol::TCP);
  start_agent();
  const auto series = "topolb_problems{reason=\"FailedToStartServiceHealthcheck\"}";
  EXPECT_THAT(get("/v1/problems").body,
              HasSubstr("healthCheckNodePort: listen on 192.0.2.10:30100: Address already in use"));
  EXPECT_EQ(metric(series), "1");
  EXPECT_TRUE(agent().wait_for("Service default/web: FailedToStartServiceHealthcheck: "));
  taken.reset();
  EXPECT_TRUE(is_answered(kCheck, 200));
  EXPECT_TRUE(agent().wait_for("Service default/web: FailedToStartServiceHealthcheck: solved"));
  // It says so before it shows it.
  EXPECT_TRUE(wait_until([&] { return get("/v1/problems").body == "{\"problems\":[]}"; }));
}

// The node's sockets may not bind to NodePorts: ours included, and no other port is touched.
TEST_F(ServiceHealth, BesideNodePorts) {
  write("dns.yaml", service_text({.name = "dns",
                                  .cluster_ip = "10.96.0.2",
                                  .spec = "type: NodePort",
                                  .ports = "{name: main, port: 53, protocol: UDP, nodePort: 30100},"
                                           "{name: tcp, port: 53, nodePort: 30102}"}));
  start_agent();
  EXPECT_EQ(http_get(kCheck, "/").status, 200) << "the same number, but of UDP";
  replace("web.yaml", balanced("web", "10.96.0.1", 30102));
  EXPECT_TRUE(agent().wait_for("listen on 192.0.2.10:30102: Address already in use"));
  remove("dns.yaml");
  EXPECT_TRUE(is_answered(kNode + ":30102", 200));
}

TEST_F(ServiceHealth, GoesOnAtOnceWithTheNextAgent) {
  start_agent();
  EXPECT_EQ(http_get(kCheck, "/").status, 200);  // leaves a connection in TIME_WAIT
  stop_agent(SIGTERM);
  EXPECT_EQ(http_get(kCheck, "/").status, 0);
  start_agent();
  EXPECT_EQ(http_get(kCheck, "/").status, 200);
  EXPECT_EQ(get("/v1/problems").body, "{\"problems\":[]}");
}

std::ptrdiff_t threads_of(pid_t pid) {
  const std::filesystem::directory_iterator tasks(fmt::format("/proc/{}/task", pid));
  return std::distance(begin(tasks), end(tasks));
}

// In a process that starts with few descriptors, as systemd and containerd 2 give them.
TEST_F(ServiceHealth, OneThreadServesThemAll) {
  set_preparation([] {
    const rlimit few{.rlim_cur = 200, .rlim_max = 4096};
    return ::setrlimit(RLIMIT_NOFILE, &few) == 0;
  });
  start_agent();
  std::string many;
  for (int i = 1; i <= 300; ++i) {
    many += balanced(fmt::format("web-{}", i), fmt::format("10.97.{}.{}", i / 250, i % 250 + 1),
                     31000 + i);
  }
  write("many.yaml", many);
  // The last one by name, as the agent goes.
  EXPECT_TRUE(is_answered(kNode + ":31099", 503));
  for (int i = 1; i <= 300; ++i) {
    EXPECT_EQ(http_get(fmt::format("{}:{}", kNode, 31000 + i), "/").status, 503) << i;
  }
  EXPECT_LT(threads_of(agent().pid()), 10);
}

}  // namespace
}  // namespace topolb::test
