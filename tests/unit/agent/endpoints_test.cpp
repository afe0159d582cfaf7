// SPDX-License-Identifier: Apache-2.0
// What the agent's endpoints say. Source: docs/metrics.md.
#include "agent/endpoints.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/metrics.h"
#include "util/version.h"

namespace topolb::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;
using ::testing::StartsWith;

constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr std::uint64_t kNow = 1'800'000'000 * kSecond;  // 2027-01-15T08:00:00Z

Status status() {
  Status status;
  status.ready = true;
  status.started_ns = kNow - 3600 * kSecond;
  status.published_ns = kNow - 60 * kSecond;
  status.heartbeat_ns = kNow;
  status.changes = 7;
  status.replans = 3;
  status.last_replan_seconds = 0.25;
  status.service_ports = 2;
  status.problems = {{"File", "", "a.yaml", "InvalidManifest", "line 1 \"x\""},
                     {"Service", "default", "db", "InvalidTopologyKeys", "17 keys"},
                     {"Service", "default", "web", "InvalidTopologyKeys", "no keys"}};
  status.fill = {{"backends", 5, 100}, {"sets", 1, 50}};
  return status;
}

TEST(Endpoints, HealthyWhileTheLoopTurns) {
  EXPECT_TRUE(is_healthy(kNow, kNow));
  EXPECT_TRUE(is_healthy(kNow, kNow + 59 * kSecond));
  EXPECT_FALSE(is_healthy(kNow, kNow + 60 * kSecond));
  EXPECT_TRUE(is_healthy(kNow, kNow - 10 * kSecond)) << "the clock was set back";
}

TEST(Endpoints, HealthIsOfKubeProxysForm) {
  const auto live = livez_reply(status(), kNow + 5 * kSecond);
  EXPECT_EQ(live.status, 200);
  EXPECT_EQ(live.content_type, "application/json");
  EXPECT_THAT(live.headers, ElementsAre(Pair("X-Content-Type-Options", "nosniff")));
  EXPECT_EQ(live.body,
            R"({"lastUpdated":"2027-01-15T08:00:05Z","currentTime":"2027-01-15T08:00:05Z",)"
            R"("healthy":true,)"
            R"("status":{"IPv4":{"lastUpdated":"2027-01-15T07:59:00Z","healthy":true},)"
            R"("IPv6":{"lastUpdated":"2027-01-15T07:59:00Z","healthy":true}}})");
  const auto healthy = healthz_reply(status(), kNow + 5 * kSecond);
  EXPECT_EQ(healthy.status, 200);
  EXPECT_THAT(healthy.body, HasSubstr(R"("nodeEligible":true,"healthy":true,)"));
}

TEST(Endpoints, ANodeThatIsAboutToGoIsAliveButNotHealthy) {
  auto leaving = status();
  leaving.node_eligible = false;
  EXPECT_EQ(livez_reply(leaving, kNow).status, 200);
  const auto health = healthz_reply(leaving, kNow);
  EXPECT_EQ(health.status, 503);
  EXPECT_THAT(health.body, StartsWith(R"({"lastUpdated":"2027-01-15T07:59:00Z",)"
                                      R"("currentTime":"2027-01-15T08:00:00Z",)"
                                      R"("nodeEligible":false,"healthy":true,"status":{"IPv4":{)"));
}

TEST(Endpoints, ALoopThatHangsIsNeither) {
  const auto later = kNow + 61 * kSecond;
  for (const auto& reply : {livez_reply(status(), later), healthz_reply(status(), later)}) {
    EXPECT_EQ(reply.status, 503);
    EXPECT_THAT(reply.body, StartsWith(R"({"lastUpdated":"2027-01-15T07:59:00Z",)"));
    EXPECT_THAT(reply.body, HasSubstr(R"("healthy":false,"status":{"IPv4":{)"));
  }
}

TEST(Endpoints, BeforeTheFirstStateThereIsNoFamily) {
  auto starting = status();
  starting.ready = false;
  const auto live = livez_reply(starting, kNow);
  EXPECT_EQ(live.status, 200);
  EXPECT_THAT(live.body, Not(HasSubstr("status")));
}

TEST(Endpoints, ReadyWithTheApiServerGoneAndHowLong) {
  auto gone = status();
  EXPECT_EQ(readyz_reply(gone).body, "ok\n");
  gone.source_ages = {{"Service", 75.2, "connection refused"}, {"Node", std::nullopt, ""}};
  EXPECT_EQ(readyz_reply(gone).status, 200);
  EXPECT_EQ(readyz_reply(gone).body,
            "ok\nService: the API server was heard of 75 s ago: connection refused\n"
            "Node: the API server was never heard of\n");
  gone.ready = false;
  EXPECT_EQ(readyz_reply(gone).status, 503);
}

TEST(Endpoints, Status) {
  auto with_watches = status();
  with_watches.source_ages = {{"Service", 1.5, ""}, {"Node", std::nullopt, "no route"}};
  EXPECT_EQ(
      status_json(with_watches),
      R"({"version":")" + std::string(kVersion) +
          R"(","ready":true,"started":"2027-01-15T07:00:00Z",)"
          R"("published":"2027-01-15T07:59:00Z","servicePorts":2,"operations":7,"problems":3,)"
          R"("maps":[{"name":"backends","used":5,"max":100},{"name":"sets","used":1,"max":50}],)"
          R"("watches":[{"kind":"Service","ageSeconds":1.5,"error":""},)"
          R"({"kind":"Node","ageSeconds":null,"error":"no route"}]})");
}

TEST(Endpoints, Problems) {
  EXPECT_EQ(problems_json({}), R"({"problems":[]})");
  auto one = status();
  one.problems.resize(1);
  EXPECT_EQ(problems_json(one), R"({"problems":[{"kind":"File","namespace":"","name":"a.yaml",)"
                                R"("reason":"InvalidManifest","message":"line 1 \"x\""}]})");
}

TEST(Endpoints, MetricsOfTheAgent) {
  auto with_watches = status();
  with_watches.source_ages = {{"Service", 1.5, ""}, {"Node", std::nullopt, "no route"}};
  const auto text = render_metrics(with_watches, dataplane::KernelMaps{}, ProxyMetrics(kNow));
  for (const char* line : {"topolb_build_info{version=\"", "topolb_ready 1\n",
                           "topolb_last_publish_timestamp_seconds 1799999940\n",
                           "topolb_last_replan_duration_seconds 0.25\n", "topolb_replans_total 3\n",
                           "topolb_operations_total 7\n", "topolb_service_ports 2\n",
                           "topolb_problems{reason=\"InvalidManifest\"} 1\n",
                           "topolb_problems{reason=\"InvalidTopologyKeys\"} 2\n",
                           "topolb_map_entries{map=\"backends\"} 5\n",
                           "topolb_map_max_entries{map=\"backends\"} 100\n",
                           "topolb_watch_age_seconds{kind=\"Service\"} 1.5\n"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
  EXPECT_THAT(text, Not(HasSubstr("kind=\"Node\""))) << "never heard of: no age";
}

TEST(Endpoints, MetricsUnderKubeProxysNames) {
  ProxyMetrics metrics(kNow);
  core::EndpointSlice slice;
  slice.key = {"default", "web-1"};
  const auto change = [&](std::uint64_t triggered_ns, std::uint64_t now_ns) {
    slice.triggered_ns = triggered_ns;
    metrics.queued(slice, now_ns);
    metrics.synced(0.003, now_ns);
  };
  change(kNow - 5 * kSecond, kNow + kSecond);  // before the start: not measured
  change(kNow + 2 * kSecond, kNow + 5 * kSecond);
  change(kNow + 2 * kSecond, kNow + 60 * kSecond);  // the same trigger again
  slice.triggered_ns = kNow + 61 * kSecond;
  metrics.queued(slice, kNow + 62 * kSecond);
  metrics.slice_removed(slice.key, kNow + 62 * kSecond);
  metrics.queued(core::Service{}, kNow + 62 * kSecond);
  metrics.answered_healthz(503);
  metrics.answered_livez(200);
  metrics.answered_livez(200);
  const auto text = [&] { return render_metrics(status(), dataplane::KernelMaps{}, metrics); };
  for (const char* line :
       {"kubeproxy_network_programming_duration_seconds_count{ip_family=\"IPv4\"} 1\n",
        "kubeproxy_network_programming_duration_seconds_sum{ip_family=\"IPv4\"} 3\n",
        "kubeproxy_network_programming_duration_seconds_bucket{ip_family=\"IPv4\",le=\"0.25\"} 0\n",
        "kubeproxy_network_programming_duration_seconds_bucket{ip_family=\"IPv4\",le=\"300\"} 1\n",
        "kubeproxy_network_programming_duration_seconds_count{ip_family=\"IPv6\"} 0\n",
        "kubeproxy_sync_proxy_rules_duration_seconds_count{ip_family=\"IPv6\"} 3\n",
        "kubeproxy_sync_proxy_rules_duration_seconds_bucket{ip_family=\"IPv4\",le=\"0.002\"} 0\n",
        "kubeproxy_sync_proxy_rules_duration_seconds_bucket{ip_family=\"IPv4\",le=\"16.384\"} 3\n",
        "kubeproxy_sync_proxy_rules_last_timestamp_seconds{ip_family=\"IPv4\"} 1800000060\n",
        "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds{ip_family=\"IPv4\"} 1800000062\n",
        "kubeproxy_sync_proxy_rules_endpoint_changes_total 5\n",
        "kubeproxy_sync_proxy_rules_endpoint_changes_pending 2\n",
        "kubeproxy_sync_proxy_rules_service_changes_total 1\n",
        "kubeproxy_sync_proxy_rules_service_changes_pending 1\n",
        "kubeproxy_proxy_healthz_total{code=\"503\"} 1\n",
        "kubeproxy_proxy_livez_total{code=\"200\"} 2\n"}) {
    EXPECT_THAT(text(), HasSubstr(line));
  }
  metrics.synced(0.003, kNow + 63 * kSecond);
  EXPECT_THAT(text(), HasSubstr("kubeproxy_sync_proxy_rules_endpoint_changes_pending 0\n"));
  EXPECT_THAT(text(), HasSubstr("programming_duration_seconds_count{ip_family=\"IPv4\"} 1\n"));
}

TEST(Endpoints, EveryMetricSaysWhatItIs) {
  const auto text = render_metrics(status(), dataplane::KernelMaps{}, ProxyMetrics(kNow));
  for (const char* name :
       {"topolb_connections_total", "topolb_refused_total", "topolb_map_entries",
        "topolb_map_max_entries", "topolb_problems", "topolb_service_ports", "topolb_ready",
        "topolb_last_publish_timestamp_seconds", "topolb_last_replan_duration_seconds",
        "topolb_replans_total", "topolb_operations_total", "topolb_watch_age_seconds",
        "topolb_build_info"}) {
    EXPECT_THAT(text, HasSubstr(std::string("# HELP ") + name + " "));
    EXPECT_THAT(text, HasSubstr(std::string("# TYPE ") + name + " "));
  }
}

}  // namespace
}  // namespace topolb::agent
