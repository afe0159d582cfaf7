// SPDX-License-Identifier: Apache-2.0
#include "agent_cluster_fixture.h"

#include "kube/yaml.h"

namespace topolb::kube {

AgentOfACluster::AgentOfACluster() : cluster(GetParam().make()) {
  for (const std::string& file : agent_account_files()) {
    for (const auto& object : shipped_objects(file)) cluster->put(object);
  }
  serve(kOne);
  serve(kTwo);
  put(test::node_text("n1", {{"topology.kubernetes.io/zone", "z1"}}));
  put(test::web_text("web", "10.96.1.1", "10.1.0.1"));
  rotate_token();
  write("kubeconfig", cluster->kubeconfig(path("token").string()));
  set_source({"--kubeconfig", path("kubeconfig").string()});
}

void AgentOfACluster::put(const std::string& yaml) {
  const auto documents = yaml_to_json(yaml);
  if (!documents) throw std::runtime_error(documents.error().message());
  for (const JsonDocument& document : *documents) {
    cluster->put(web::json::value::parse(document.json));
  }
}

void AgentOfACluster::move_web_to(const std::string& address) {
  put(test::slice_text("web", {{address}}));
}

std::string AgentOfACluster::rotate_token() {
  std::string before = std::exchange(token_, cluster->rotate_token());
  replace("token", token_);
  return before;
}

void AgentOfACluster::expect_only(const std::string& backend) {
  EXPECT_TRUE(comes_to(kWeb, backend));
  EXPECT_EQ(answers(kWeb), std::set<std::string>{backend}) << "a stale backend is left";
}

}  // namespace topolb::kube
