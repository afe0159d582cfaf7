// SPDX-License-Identifier: Apache-2.0
// Source: client-go's v1.Config; KEP-541 (exec plugins).
#include "kube/kubeconfig.h"

#include <gtest/gtest.h>

#include "../temporary_directory.h"

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
  const auto config = parse_kubeconfig({{"/etc/k/config", kTwoContexts}}, "");
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
  const auto config = parse_kubeconfig({{"config", kTwoContexts}}, "anonymous");
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
  const std::string text =
      file_with(kServer,
                "exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: bin/login, "
                "args: [get, token], env: [{name: REGION, value: north}], installHint: apt it, "
                "interactiveMode: IfAvailable, provideClusterInfo: true}");
  const auto config = parse_kubeconfig({{"/home/u/.kube/config", text}}, "");
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

/// `command` of a plugin in a file at `path`.
std::string command_of(const std::string& path, const std::string& command) {
  const auto config = parse_kubeconfig(
      {{path, file_with(kServer, "exec: {apiVersion: client.authentication.k8s.io/v1, command: " +
                                     command + "}")}},
      "");
  return config ? config->exec->command : config.error().message();
}

TEST(Kubeconfig, AnExecPluginWithASlashIsNextToTheFile) {
  EXPECT_EQ(command_of("config", "./login"), "./login") << "not of PATH";
  EXPECT_EQ(command_of("k/config", "../login"), "./login");
  EXPECT_EQ(command_of("k/config", "./login"), "k/login");
  EXPECT_EQ(command_of("k/config", "login"), "login");
}

struct WrongFile {
  const char* name;
  std::string text;
  std::string error;
};

class WrongKubeconfigTest : public testing::TestWithParam<WrongFile> {};

TEST_P(WrongKubeconfigTest, IsOneLineWithFileAndField) {
  const auto config = parse_kubeconfig({{"/k", GetParam().text}}, "");
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().what, "kubeconfig /k: " + GetParam().error);
}

INSTANTIATE_TEST_SUITE_P(
    Files, WrongKubeconfigTest,
    testing::Values(
        WrongFile{"Empty", "", "current-context: missing, and no context was asked for"},
        WrongFile{"OtherKind", "kind: Pod", "kind: 'Pod' is no Config"},
        WrongFile{"NoMapping", "[]", "must be a mapping"},
        WrongFile{"NoYaml", "a: [",
                  "line 2 column 1: did not find expected node content while parsing a flow node"},
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
        WrongFile{"TokenIsANumber", file_with(kServer, "token: 0123"),
                  "users[u].user.token: must be a string"},
        WrongFile{"ArgumentIsANumber",
                  file_with(kServer,
                            "exec: {apiVersion: client.authentication.k8s.io/v1, command: c, "
                            "args: [1]}"),
                  "users[u].user.exec.args: must be a string"},
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

// Of several files each gives what the ones before it do not have.
TEST(Kubeconfig, SeveralFiles) {
  const std::string first =
      "{contexts: [{name: x, context: {cluster: c, user: u}}], "
      "users: [{name: u, user: {tokenFile: first}}]}";
  const std::string second =
      "{current-context: x, contexts: [{name: x, context: {cluster: other}}, {name: w}], "
      "clusters: [{name: c, cluster: {server: 'https://h', certificate-authority: ca}}], "
      "users: [{name: u, user: {tokenFile: second}}]}";
  const std::vector<KubeconfigText> files{{"/a/config", first}, {"/b/config", second}};
  const auto config = parse_kubeconfig(files, "");
  ASSERT_TRUE(config) << config.error().message();
  EXPECT_EQ(config->token.file, "/a/first");
  EXPECT_EQ(config->certificate_authority.file, "/b/ca");
  EXPECT_EQ(*context_names(files), (std::vector<std::string>{"x", "x", "w"}));
  const auto missing = parse_kubeconfig(files, "z");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().what,
            "kubeconfig /a/config, kubeconfig /b/config: contexts: no entry is called 'z'");
  const auto wrong = parse_kubeconfig({files[0], {"/b/config", "clusters: {}"}}, "x");
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().what, "kubeconfig /b/config: clusters: must be a list");
}

/// A home directory with a kubeconfig, and another file.
class UsualKubeconfigs : public testing::Test {
 protected:
  UsualKubeconfigs() {
    home_.write(".kube/config", "{current-context: home}");
    home_.write("other", "{current-context: other}");
  }
  [[nodiscard]] std::vector<std::string> files(const std::string& variable) const {
    const auto files = read_kubeconfig("", [&](const std::string& name) {
      return name == "HOME" ? home_.path() : name == "KUBECONFIG" ? variable : "";
    });
    std::vector<std::string> names;
    if (!files) return {files.error().message()};
    for (const auto& file : *files) names.push_back(file.file);
    return names;
  }
  test::TemporaryDirectory home_;
};

TEST_F(UsualKubeconfigs, AreThoseOfKubectl) {
  const std::string other = home_.path() + "/other";
  const std::string config = home_.path() + "/.kube/config";
  EXPECT_EQ(files(""), (std::vector<std::string>{config}));
  EXPECT_EQ(files(other + "::/nonexistent:" + config), (std::vector<std::string>{other, config}));
  EXPECT_EQ(files("/nonexistent"), (std::vector<std::string>{}));
  EXPECT_EQ(files(home_.path()),
            (std::vector<std::string>{"read kubeconfig " + home_.path() + ": Is a directory"}));
}

TEST(FindCluster, TakesThePodsOwnWithoutAFile) {
  const auto pod = [](const std::string& name) {
    return name == "KUBERNETES_SERVICE_HOST"   ? "10.0.0.1"
           : name == "KUBERNETES_SERVICE_PORT" ? "443"
                                               : "";
  };
  const auto found = find_cluster("", "", pod);
  ASSERT_TRUE(found) << found.error().message();
  EXPECT_EQ(found->servers, (std::vector<std::string>{"https://10.0.0.1:443"}));
  EXPECT_FALSE(find_cluster("", "prod", pod)) << "a pod has no contexts";
  const auto none = find_cluster("", "", [](const std::string&) { return ""; });
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().what,
            "no cluster is known: there is no --kubeconfig, no file of KUBECONFIG and no "
            "~/.kube/config, and this is no pod");
}

TEST(Kubeconfig, AFileThatIsNotThere) {
  const auto config = load_kubeconfig("/nonexistent/config", "");
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().message(),
            "read kubeconfig /nonexistent/config: No such file or directory");
}

}  // namespace
}  // namespace topolb::kube
