// SPDX-License-Identifier: Apache-2.0
// Which Services an agent serves, as labels and flags say. Source: design.md 1 and 3.1.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "agent_fixture.h"
#include "storm.h"

namespace topolb::test {
namespace {

const std::string kBackend = "10.1.0.1:8080";

class Scope : public AgentTest {
 protected:
  Scope() {
    serve(kBackend);
    put("plain", "10.96.0.1", "");
    put("enabled", "10.96.0.2", "labels: {topolb.io/enabled: \"true\"}");
    put("disabled", "10.96.0.3", "labels: {topolb.io/enabled: \"false\"}");
    put("ours", "10.96.0.4", "labels: {service.kubernetes.io/service-proxy-name: topolb}");
    put("theirs", "10.96.0.5", "labels: {service.kubernetes.io/service-proxy-name: other}");
    put("both", "10.96.0.6",
        "labels: {service.kubernetes.io/service-proxy-name: topolb, topolb.io/enabled: \"true\"}");
  }

  void put(const std::string& name, const std::string& cluster_ip,
           const std::string& labels) const {
    write(name + ".yaml",
          service_text({name, cluster_ip, labels}) + slice_text(name, {{"10.1.0.1"}}));
  }

  /// Names of the Services in the kernel.
  [[nodiscard]] std::set<std::string> served() const {
    std::set<std::string> names;
    for (const auto& service : state().services) names.insert(service.key.service.name);
    return names;
  }
};

TEST_F(Scope, Flags) {
  using Names = std::set<std::string>;
  const std::vector<std::pair<Words, Names>> cases{
      {{}, {"plain", "enabled", "disabled"}},
      {{"--scope", "all"}, {"plain", "enabled", "disabled"}},
      {{"--scope", "opted-in"}, {"enabled"}},
      {{"--service-proxy-name", "topolb"}, {"plain", "enabled", "disabled", "ours", "both"}},
      {{"--scope=opted-in", "--service-proxy-name=topolb"}, {"enabled", "both"}},
  };
  for (const auto& [flags, names] : cases) {
    start_agent(flags);
    EXPECT_EQ(served(), names) << ::testing::PrintToString(flags);
    EXPECT_EQ(stop_agent(SIGTERM), 0);
  }
}

// Beside kube-proxy, one Service is moved at a time.
TEST_F(Scope, AServiceOptsInAndOut) {
  start_agent({"--scope", "opted-in"});
  EXPECT_NE(dial_tcp("10.96.0.1:80").backend, kBackend) << "left to kube-proxy";
  put("plain", "10.96.0.1", "labels: {topolb.io/enabled: \"true\"}");
  EXPECT_TRUE(comes_to("10.96.0.1:80", kBackend));
  put("plain", "10.96.0.1", "");
  EXPECT_TRUE(wait_until([&] { return dial_tcp("10.96.0.1:80").error != 0; }));
  EXPECT_EQ(served(), std::set<std::string>{"enabled"});
}

/// kube-proxy's rules (nftables mode) for one Service with one endpoint.
std::string kube_proxy_rules(const std::string& cluster_ip, const std::string& backend) {
  return fmt::format(R"(
table ip kube-proxy {{
  map service-ips {{
    type ipv4_addr . inet_proto . inet_service : verdict;
    elements = {{ {0} . tcp . 80 : goto service-plain }}
  }}
  chain mark-for-masquerade {{ meta mark set meta mark or 0x4000; }}
  chain endpoint-plain {{ meta l4proto tcp dnat to {1}; }}
  chain service-plain {{
    ip daddr {0} tcp dport 80 ip saddr != 10.1.0.0/16 jump mark-for-masquerade
    numgen random mod 1 vmap {{ 0 : goto endpoint-plain }}
  }}
  chain services {{ ip daddr . meta l4proto . th dport vmap @service-ips; }}
  chain nat-output {{ type nat hook output priority -100; policy accept; jump services; }}
  chain nat-prerouting {{ type nat hook prerouting priority -100; policy accept; jump services; }}
  chain nat-postrouting {{
    type nat hook postrouting priority 100; policy accept;
    meta mark and 0x4000 != 0 meta mark set meta mark xor 0x4000 masquerade fully-random
  }}
}})",
                     cluster_ip, backend);
}

// The label moves a Service there and back, and no client notices: kube-proxy's rules stay all the
// time. That they lead to a backend of their own tells who served a client.
TEST_F(Scope, MovesFromKubeProxyAndBackWithoutAFailedConnection) {
  const std::string theirs = "10.1.0.2:8080";
  serve(theirs);
  sandbox_.add_node_address("10.0.0.1");
  run("ip route add default via 10.0.0.254");
  write("rules.nft", kube_proxy_rules("10.96.0.1", theirs));
  run("nft -f " + path("rules.nft").string());
  start_agent({"--scope", "opted-in"});
  ASSERT_EQ(dial_tcp("10.96.0.1:80").backend, theirs);
  Storm storm("10.96.0.1:80");
  for (int i = 0; i < 10; ++i) {
    put("plain", "10.96.0.1", "labels: {topolb.io/enabled: \"true\"}");
    EXPECT_TRUE(comes_to("10.96.0.1:80", kBackend));
    EXPECT_EQ(answers("10.96.0.1:80"), std::set<std::string>{kBackend});
    put("plain", "10.96.0.1", "");
    EXPECT_TRUE(comes_to("10.96.0.1:80", theirs));
    EXPECT_EQ(answers("10.96.0.1:80"), std::set<std::string>{theirs});
  }
  storm.stop();
  EXPECT_EQ(storm.failed(), 0);
}

}  // namespace
}  // namespace topolb::test
