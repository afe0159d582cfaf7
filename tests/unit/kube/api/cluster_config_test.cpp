// SPDX-License-Identifier: Apache-2.0
#include "kube/cluster_config.h"

#include <gtest/gtest.h>

#include <map>

#include "kube/server_url.h"

namespace topolb::kube {
namespace {

Environment environment_of(std::map<std::string, std::string> variables) {
  return [variables = std::move(variables)](const std::string& name) {
    const auto found = variables.find(name);
    return found != variables.end() ? found->second : "";
  };
}

TEST(InCluster, ServiceAccount) {
  const auto config = in_cluster_config(environment_of(
      {{"KUBERNETES_SERVICE_HOST", "10.96.0.1"}, {"KUBERNETES_SERVICE_PORT", "443"}}));
  ASSERT_TRUE(config) << config.error().message();
  EXPECT_EQ(config->servers, std::vector<std::string>{"https://10.96.0.1:443"});
  EXPECT_EQ(config->token.file, "/var/run/secrets/kubernetes.io/serviceaccount/token");
  EXPECT_EQ(config->certificate_authority.file,
            "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt");
}

TEST(InCluster, IPv6) {
  const auto config = in_cluster_config(environment_of(
      {{"KUBERNETES_SERVICE_HOST", "fd00::1"}, {"KUBERNETES_SERVICE_PORT", "6443"}}));
  ASSERT_TRUE(config);
  EXPECT_EQ(config->servers, std::vector<std::string>{"https://[fd00::1]:6443"});
}

TEST(InCluster, NotInAPod) {
  EXPECT_EQ(in_cluster_config(environment_of({})).error().what,
            "in-cluster credentials: KUBERNETES_SERVICE_HOST is not set: not in a pod?");
  EXPECT_EQ(
      in_cluster_config(environment_of({{"KUBERNETES_SERVICE_HOST", "10.96.0.1"}})).error().what,
      "in-cluster credentials: KUBERNETES_SERVICE_PORT is not set: not in a pod?");
}

struct Url {
  std::string text;
  std::string host;  // empty: wrong
  std::uint16_t port;
};

TEST(ServerUrl, Parts) {
  for (const Url& url :
       {Url{"https://h", "h", 443}, Url{"http://h", "h", 80},
        Url{"https://API.example:6443/k8s/c-1", "api.example", 6443},
        Url{"https://[2001:DB8::1]:6443", "2001:db8::1", 6443}, Url{"https://[::1]", "::1", 443},
        Url{"ftp://h", "", 0}, Url{"https://", "", 0}, Url{"https://h:0", "", 0},
        Url{"https://h:99999", "", 0}, Url{"https://h:", "", 0}, Url{"https://u@h", "", 0},
        Url{"https://h?a=b", "", 0}, Url{"https://[::1", "", 0}, Url{"https://h /", "", 0}}) {
    const auto parts = parse_server_url(url.text);
    ASSERT_EQ(parts.has_value(), !url.host.empty()) << url.text;
    if (!parts) continue;
    EXPECT_EQ(parts->host, url.host) << url.text;
    EXPECT_EQ(parts->port, url.port) << url.text;
  }
}

struct Exclusion {
  std::string no_proxy;
  std::string server;
  bool excluded;
};

/// Source: golang.org/x/net/http/httpproxy, which kubectl goes by.
TEST(NoProxy, Matches) {
  for (const Exclusion& tested : {
           Exclusion{"", "https://h", false},
           Exclusion{"*", "https://h", true},
           Exclusion{"h", "https://h", true},
           Exclusion{"example", "https://api.example", true},
           Exclusion{".example", "https://api.example", true},
           Exclusion{"*.example", "https://api.example", true},
           Exclusion{".example", "https://example", false},
           Exclusion{"ample", "https://api.example", false},
           Exclusion{"a, h:6443 ,b", "https://h:6443", true},
           Exclusion{"h:6443", "https://h:443", false},
           Exclusion{"10.0.0.0/8", "https://10.1.2.3:6443", true},
           Exclusion{"10.0.0.0/8", "https://11.1.2.3:6443", false},
           Exclusion{"10.1.2.3", "https://10.1.2.3:6443", true},
           Exclusion{"2001:db8::/32", "https://[2001:db8::1]", true},
           Exclusion{"0.0.0.0/0", "https://[2001:db8::1]", false},
       }) {
    EXPECT_EQ(is_excluded(*parse_server_url(tested.server), tested.no_proxy), tested.excluded)
        << tested.no_proxy << " " << tested.server;
  }
}

TEST(Proxy, IsChosen) {
  const Environment environment = environment_of(
      {{"HTTPS_PROXY", "http://secure:1"}, {"http_proxy", "plain:2"}, {"no_proxy", "internal"}});
  ClusterConfig config;
  EXPECT_EQ(choose_proxy(config, "https://h", environment), "http://secure:1");
  EXPECT_EQ(choose_proxy(config, "http://h", environment), "http://plain:2");
  EXPECT_EQ(choose_proxy(config, "https://api.internal", environment), "");
  EXPECT_EQ(choose_proxy(config, "https://127.0.0.1:6443", environment), "");
  EXPECT_EQ(choose_proxy(config, "https://localhost", environment), "");
  config.proxy_url = "http://of-the-file:3";
  EXPECT_EQ(choose_proxy(config, "https://api.internal", environment), "http://of-the-file:3");
}

}  // namespace
}  // namespace topolb::kube
