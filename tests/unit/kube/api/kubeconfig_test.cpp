// SPDX-License-Identifier: Apache-2.0
// Source: client-go's v1.Config; KEP-541 (exec plugins).
#include "kube/kubeconfig.h"

#include <gtest/gtest.h>

namespace topolb::kube {
namespace {

constexpr const char* kTwoContexts = R"(
apiVersion: v1
kind: Config
current-context: prod
contexts:
- name: prod
  context: {cluster: c1, user: admin}
- name: anonymous
  context: {cluster: c2}
clusters:
- name: c1
  cluster:
    server: https://10.0.0.1:6443
    certificate-authority: pki/ca.crt
    tls-server-name: kubernetes
    proxy-url: http://proxy:3128
- name: c2
  cluster: {server: "https://[2001:db8::1]:6443", insecure-skip-tls-verify: true}
users:
- name: admin
  user:
    client-certificate-data: Y2VydA==
    client-key: /keys/admin.key
    token: static
    tokenFile: token
)";

TEST(Kubeconfig, TheCurrentContext) {
  const auto config = parse_kubeconfig(kTwoContexts, "/etc/k/config", "");
  ASSERT_TRUE(config) << config.error().message();
  ClusterConfig expected;
  expected.servers = {"https://10.0.0.1:6443"};
  expected.certificate_authority.file = "/etc/k/pki/ca.crt";
  expected.tls_server_name = "kubernetes";
  expected.proxy_url = "http://proxy:3128";
  expected.client_certificate.data = "cert";
  expected.client_key.file = "/keys/admin.key";
  expected.token = {"static", "/etc/k/token"};
  EXPECT_EQ(*config, expected);
}

TEST(Kubeconfig, AnotherContextWithoutUser) {
  const auto config = parse_kubeconfig(kTwoContexts, "config", "anonymous");
  ASSERT_TRUE(config) << config.error().message();
  ClusterConfig expected;
  expected.servers = {"https://[2001:db8::1]:6443"};
  expected.insecure_skip_tls_verify = true;
  EXPECT_EQ(*config, expected);
}

/// A file with this cluster and this user in it.
std::string file_with(const std::string& cluster, const std::string& user) {
  return "{current-context: x, contexts: [{name: x, context: {cluster: c, user: u}}], "
         "clusters: [{name: c, cluster: {" +
         cluster + "}}], users: [{name: u, user: {" + user + "}}]}";
}

constexpr const char* kServer = "server: 'https://h'";

TEST(Kubeconfig, ExecPlugin) {
  const auto config = parse_kubeconfig(
      file_with(kServer,
                "exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: bin/login, "
                "args: [get, token], env: [{name: REGION, value: north}], installHint: apt it, "
                "interactiveMode: IfAvailable, provideClusterInfo: true}"),
      "/home/u/.kube/config", "");
  ASSERT_TRUE(config) << config.error().message();
  ExecPlugin expected;
  expected.api_version = "client.authentication.k8s.io/v1beta1";
  expected.command = "/home/u/.kube/bin/login";
  expected.args = {"get", "token"};
  expected.env = {{"REGION", "north"}};
  expected.install_hint = "apt it";
  expected.provide_cluster_info = true;
  EXPECT_EQ(config->exec, expected);
}

struct WrongFile {
  const char* name;
  std::string text;
  std::string error;
};

class WrongKubeconfigTest : public testing::TestWithParam<WrongFile> {};

TEST_P(WrongKubeconfigTest, IsOneLineWithFileAndField) {
  const auto config = parse_kubeconfig(GetParam().text, "/k", "");
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().what, "kubeconfig /k: " + GetParam().error);
}

INSTANTIATE_TEST_SUITE_P(
    Files, WrongKubeconfigTest,
    testing::Values(
        WrongFile{"Empty", "", "current-context: missing, and no context was asked for"},
        WrongFile{"OtherKind", "kind: Pod", "kind: 'Pod' is no Config"},
        WrongFile{"NoMapping", "[]", "must be a mapping"},
        WrongFile{"NoYaml", "a: [", "line 1: end of sequence flow not found"},
        WrongFile{"NoSuchContext", "current-context: x", "contexts: no entry is called 'x'"},
        WrongFile{"ContextsNoList", "{current-context: x, contexts: 1}",
                  "contexts: must be a list"},
        WrongFile{"NoSuchCluster",
                  "{current-context: x, contexts: [{name: x, context: {cluster: c}}]}",
                  "clusters: no entry is called 'c'"},
        WrongFile{"NoServer", file_with("", ""), "clusters[c].cluster.server: missing"},
        WrongFile{"ServerNoUrl", file_with("server: 10.0.0.1:6443", ""),
                  "clusters[c].cluster.server: API server URL '10.0.0.1:6443': must begin with "
                  "https:// or http://"},
        WrongFile{"CaNoBase64",
                  file_with(std::string(kServer) + ", certificate-authority-data: '%%'", ""),
                  "clusters[c].cluster.certificate-authority-data: is no base64"},
        WrongFile{"InsecureWithCa",
                  file_with(std::string(kServer) +
                                ", certificate-authority: f, insecure-skip-tls-verify: true",
                            ""),
                  "clusters[c].cluster.insecure-skip-tls-verify: not together with "
                  "certificate-authority"},
        WrongFile{"InsecureNoFlag",
                  file_with(std::string(kServer) + ", insecure-skip-tls-verify: 'yes'", ""),
                  "clusters[c].cluster.insecure-skip-tls-verify: must be true or false"},
        WrongFile{"SocksProxy", file_with(std::string(kServer) + ", proxy-url: 'socks5://p'", ""),
                  "clusters[c].cluster.proxy-url: only http:// proxies are supported"},
        WrongFile{"CertificateWithoutKey", file_with(kServer, "client-certificate: f"),
                  "users[u].user.client-key: missing: certificate and key belong together"},
        WrongFile{"KeyWithoutCertificate", file_with(kServer, "client-key: f"),
                  "users[u].user.client-certificate: missing: certificate and key belong together"},
        WrongFile{"AuthProvider", file_with(kServer, "auth-provider: {name: gcp}"),
                  "users[u].user.auth-provider: is not supported"},
        WrongFile{"Impersonation", file_with(kServer, "as: root"),
                  "users[u].user.as: is not supported"},
        WrongFile{"TokenNoText", file_with(kServer, "token: {}"),
                  "users[u].user.token: must be a string"},
        WrongFile{"ExecVersion", file_with(kServer, "exec: {apiVersion: v0, command: c}"),
                  "users[u].user.exec.apiVersion: 'v0' is none of client.authentication.k8s.io/v1, "
                  "client.authentication.k8s.io/v1beta1"},
        WrongFile{"ExecWithoutCommand",
                  file_with(kServer, "exec: {apiVersion: client.authentication.k8s.io/v1}"),
                  "users[u].user.exec.command: missing"},
        WrongFile{"ExecNeedsTerminal",
                  file_with(kServer,
                            "exec: {apiVersion: client.authentication.k8s.io/v1, command: c, "
                            "interactiveMode: Always}"),
                  "users[u].user.exec.interactiveMode: Always needs a terminal; use Never or "
                  "IfAvailable"}),
    [](const auto& tested) { return tested.param.name; });

TEST(Kubeconfig, AFileThatIsNotThere) {
  const auto config = load_kubeconfig("/nonexistent/config", "");
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().message(),
            "read kubeconfig /nonexistent/config: No such file or directory");
}

}  // namespace
}  // namespace topolb::kube
