// SPDX-License-Identifier: Apache-2.0
#include "test_cluster.h"

#include <fmt/format.h>

#include <cstdlib>
#include <stdexcept>

#include "kube/base64.h"
#include "kube/file_text.h"
#include "kube/yaml.h"
#include "plain_http.h"
#include "real_cluster.h"

namespace topolb::kube {

std::string TestCluster::kubeconfig(const std::string& token_file) const {
  const ClusterConfig with = config();
  return fmt::format(R"(apiVersion: v1
kind: Config
current-context: test
contexts: [{{name: test, context: {{cluster: test, user: test}}}}]
clusters: [{{name: test, cluster: {{server: "{}", certificate-authority-data: {}}}}}]
users: [{{name: test, user: {{{}: "{}"}}}}]
)",
                     with.servers.front(), base64_encode(with.certificate_authority.data),
                     token_file.empty() ? "token" : "tokenFile",
                     token_file.empty() ? with.token.data : token_file);
}

bool TestCluster::accepts(const std::string& token) const {
  const auto answer = ask({.port = cable_->port(),
                           .target = "/api/v1/services?limit=1",
                           .headers = {"Authorization: Bearer " + token}});
  return answer.status != 0 && answer.status != 401;
}

web::json::value TestCluster::get(const std::string& target) const {
  const auto answer = ask({.port = cable_->port(),
                           .target = target,
                           .headers = {"Authorization: Bearer " + config().token.data}});
  return answer.status == 200 ? web::json::value::parse(answer.body) : web::json::value::object();
}

std::vector<ClusterKind> cluster_kinds() {
  std::vector<ClusterKind> kinds{{"Simulated", make_simulated_cluster}};
  if (!kubernetes_assets().empty()) {
    kinds.push_back({"Real", []() -> std::unique_ptr<TestCluster> {
                       return std::make_unique<RealCluster>(kubernetes_assets());
                     }});
  }
  return kinds;
}

std::vector<std::string> agent_account_files() {
  // All but what is not the agent's own.
  std::vector<std::string> files;
  const auto kustomization = shipped_objects("k8s/base/kustomization.yaml").front();
  for (const auto& resource : kustomization.at("resources").as_array()) {
    const std::string& name = resource.as_string();
    if (name != "daemonset.yaml" && name != "user-roles.yaml") files.push_back("k8s/base/" + name);
  }
  return files;
}

std::vector<web::json::value> shipped_objects(const std::string& file) {
  const char* root = std::getenv("TOPOLB_SOURCE");
  if (root == nullptr) throw std::runtime_error("TOPOLB_SOURCE is not set: run it by meson test");
  const auto text = read_text_file(std::string(root) + "/" + file, "manifest");
  if (!text) throw std::runtime_error(text.error().message());
  const auto documents = yaml_to_json(*text);
  if (!documents) throw std::runtime_error(file + ": " + documents.error().message());
  std::vector<web::json::value> objects;
  for (const JsonDocument& document : *documents) {
    objects.push_back(web::json::value::parse(document.json));
  }
  return objects;
}

}  // namespace topolb::kube
