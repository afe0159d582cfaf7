// SPDX-License-Identifier: Apache-2.0
// Which Services an agent serves, as labels and flags say. Source: design.md 1 and 3.1.
#include <gmock/gmock.h>

#include "agent_fixture.h"

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

}  // namespace
}  // namespace topolb::test
