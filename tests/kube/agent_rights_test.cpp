// SPDX-License-Identifier: Apache-2.0
// The roles that are shipped for the agent: exactly what it does, and a real API server lets it do
// that and nothing else.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <tuple>

#include "agent_cluster_fixture.h"
#include "api_server.h"
#include "objects.h"
#include "real_cluster.h"

namespace topolb::kube {
namespace {

using web::json::value;

/// Verb, API group, resource.
using Right = std::tuple<std::string, std::string, std::string>;
using Rights = std::set<Right>;

void add_rules(const value& rules, Rights& rights) {
  for (const value& rule : rules.as_array()) {
    if (!rule.has_field("resources")) continue;  // of URLs
    for (const value& verb : rule.at("verbs").as_array()) {
      for (const value& group : rule.at("apiGroups").as_array()) {
        for (const value& resource : rule.at("resources").as_array()) {
          rights.emplace(verb.as_string(), group.as_string(), resource.as_string());
        }
      }
    }
  }
}

/// Of every role for the agent in k8s/base.
Rights shipped_rights() {
  Rights rights;
  for (const std::string& file : agent_account_files()) {
    for (const value& object : shipped_objects(file)) {
      if (object.has_field("rules")) add_rules(object.at("rules"), rights);
    }
  }
  return rights;
}

/// What a request needs: "GET /apis/discovery.k8s.io/v1/endpointslices?watch=1".
std::optional<Right> right_of(const std::string& request) {
  const auto space = request.find(' ');
  const auto query = request.find('?');
  std::istringstream steps(request.substr(space + 2, query - space - 2));
  std::vector<std::string> path;
  for (std::string step; std::getline(steps, step, '/');) path.push_back(step);
  if (path.front() != "api" && path.front() != "apis") return std::nullopt;
  const std::string group = path.front() == "api" ? "" : path[1];
  path.erase(path.begin(), path.begin() + (group.empty() ? 2 : 3));
  if (path.front() == "namespaces" && path.size() > 2) path.erase(path.begin(), path.begin() + 2);
  const bool is_one = path.size() > 1;
  const std::string method = request.substr(0, space);
  static const std::map<std::string, std::string> kVerbs{
      {"POST", "create"}, {"PUT", "update"}, {"PATCH", "patch"}, {"DELETE", "delete"}};
  std::string verb = method == "GET" ? (is_one ? "get" : "list") : kVerbs.at(method);
  if (request.find("watch=1") != std::string::npos) verb = "watch";
  return Right{verb, group, path.front()};
}

class AgentRights : public test::AgentTest {
 protected:
  static void put(test::ApiServer& server, const std::string& name, const std::string& address,
                  const std::string& keys) {
    auto made = service(name, address);
    made["metadata"]["annotations"][std::string(core::kTopologyKeysAnnotation)] = value(keys);
    server.store().put(made);
  }
  void start_agent_on(const test::ApiServer& server, std::size_t watches) {
    write("ca.pem", server.authority().certificate_pem());
    write("kubeconfig", fmt::format(R"(
apiVersion: v1
kind: Config
current-context: test
contexts: [{{name: test, context: {{cluster: test, user: test}}}}]
clusters: [{{name: test, cluster: {{server: "{}", certificate-authority: ca.pem}}}}]
users: [{{name: test, user: {{}}}}]
)",
                                    server.url()));
    set_source({"--kubeconfig", path("kubeconfig").string()});
    start_agent({"--event-delay", "0"});
    EXPECT_TRUE(test::wait_until([&] { return server.watches("resourceVersion=") == watches; }));
  }
  static void wait_for(const test::ApiServer& server, const std::string& request) {
    EXPECT_TRUE(test::wait_until([&] { return !server.requests(request).empty(); })) << request;
  }
  /// What agents ask of a server: at a start, for a Service that needs every Node, and for one with
  /// a problem, which the second agent finds told already.
  Rights used(const test::ApiServerOptions& options) {
    test::ApiServer server(options);
    put(server, "wrong", "10.96.1.2", "rack, rack");
    put(server, "far", "10.96.1.3", "rack");
    server.store().put(node("n1", "z1"));
    for (const char* last : {"POST /apis/events.k8s.io", "PATCH /apis/events.k8s.io"}) {
      start_agent_on(server, 4);
      wait_for(server, last);
      stop_agent(SIGTERM);
    }
    Rights rights;
    for (const std::string& request : server.requests()) {
      if (const auto right = right_of(request)) rights.insert(*right);
    }
    return rights;
  }
};

TEST_F(AgentRights, AreWhatItUses) {
  Rights all = used({});
  all.merge(used({.streams_lists = false}));
  EXPECT_THAT(all, testing::ContainerEq(shipped_rights()));
}

/// Other Nodes are read while a Service has keys that need their labels: an endpoint's own zone
/// field stands for its Node's label. Source: design.md 3.2.
TEST_F(AgentRights, AreUsedForOtherNodesOnlyWhereTheyMatter) {
  const std::vector<std::pair<std::string, bool>> cases{
      {"", false},
      {"*", false},
      {"topology.kubernetes.io/zone", false},
      {"topology.kubernetes.io/zone, *", false},
      {"rack, rack", false},  // invalid: refused, whatever the labels
      {"kubernetes.io/hostname", true},
      {"topology.kubernetes.io/zone, topology.kubernetes.io/region", true},
      {"rack", true},
  };
  for (const auto& [keys, expected] : cases) {
    test::ApiServer server;
    put(server, "web", "10.96.1.1", keys);
    server.store().put(node("n1", "z1"));
    server.store().put(node("n2", "z1"));
    start_agent_on(server, expected ? 4 : 3);
    const auto requests = server.requests("/api/v1/nodes?");
    EXPECT_NE(requests.size(), 0U);
    const bool reads_others = std::ranges::any_of(requests, [](const std::string& request) {
      return request.find("fieldSelector=metadata.name%3Dn1") == std::string::npos;
    });
    EXPECT_EQ(reads_others, expected) << keys;
    stop_agent(SIGTERM);
  }
}

class AgentRightsOnARealServer : public testing::TestWithParam<std::string> {
 protected:
  AgentRightsOnARealServer() : cluster(GetParam()) {
    for (const std::string& file : agent_account_files()) {
      for (const value& object : shipped_objects(file)) cluster.put(object);
    }
    token = cluster.rotate_token();
  }
  PlainAnswer ask_as_agent(const std::string& method, const std::string& target,
                           const std::string& body = "") {
    return ask({.port = cluster.cable().port(),
                .method = method,
                .target = target,
                .headers = {"Authorization: Bearer " + token, "Content-Type: application/json"},
                .body = body});
  }
  RealCluster cluster;
  std::string token;
};

/// The server's own list of what the agent may do, without what everybody may: ask about oneself.
TEST_P(AgentRightsOnARealServer, AreTheShippedOnes) {
  for (const char* name_space : {"kube-system", "default"}) {
    const auto answer = ask_as_agent(
        "POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews",
        fmt::format(R"({{"apiVersion":"authorization.k8s.io/v1","kind":"SelfSubjectRulesReview",)"
                    R"("spec":{{"namespace":"{}"}}}})",
                    name_space));
    ASSERT_EQ(answer.status, 201) << answer.body;
    Rights rights;
    add_rules(value::parse(answer.body).at("status").at("resourceRules"), rights);
    std::erase_if(rights,
                  [](const Right& right) { return std::get<2>(right).starts_with("selfsubject"); });
    Rights expected = shipped_rights();
    if (std::string(name_space) != "kube-system") {
      std::erase_if(expected, [](const Right& right) { return std::get<2>(right) == "leases"; });
    }
    EXPECT_THAT(rights, testing::ContainerEq(expected)) << name_space;
  }
}

TEST_P(AgentRightsOnARealServer, EndThere) {
  EXPECT_EQ(ask_as_agent("GET", "/api/v1/services").status, 200);
  const std::vector<std::pair<std::string, std::string>> denied{
      {"GET", "/api/v1/secrets"},
      {"GET", "/api/v1/pods"},
      {"GET", "/api/v1/configmaps"},
      {"GET", "/api/v1/nodes/n1"},
      {"GET", "/api/v1/namespaces/default/services/kubernetes"},
      {"POST", "/api/v1/namespaces/default/services"},
      {"DELETE", "/api/v1/namespaces/default/services/kubernetes"},
      {"DELETE", "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes"},
      {"POST", "/api/v1/namespaces/kube-system/pods"},
      {"POST", "/api/v1/namespaces/kube-system/serviceaccounts/topolb/token"},
      {"GET", "/apis/coordination.k8s.io/v1/namespaces/default/leases/x"},
  };
  for (const auto& [method, target] : denied) {
    EXPECT_EQ(ask_as_agent(method, target, method == "POST" ? "{}" : "").status, 403)
        << method << " " << target;
  }
}

/// What people may by the roles that are shipped for them, with the CLI.
class UsersRights : public AgentRightsOnARealServer {
 protected:
  UsersRights() {
    for (const value& object : shipped_objects("k8s/base/user-roles.yaml")) cluster.put(object);
    cluster.put(service("web", "10.96.1.1"));
    cluster.put(slice("web-1", "web", "10.1.0.1"));
    cluster.put(node("n1", "z1"));
    token_file =
        std::filesystem::temp_directory_path() / fmt::format("topolb-test-{}-token", ::getpid());
    kubeconfig = token_file.string() + ".kubeconfig";
    std::ofstream(token_file) << kUserToken;
    std::ofstream(kubeconfig) << cluster.kubeconfig(token_file);
  }
  ~UsersRights() override {
    std::filesystem::remove(token_file);
    std::filesystem::remove(kubeconfig);
  }

  void bind(const std::string& role) {
    cluster.put(value::parse(fmt::format(
        R"({{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRoleBinding",)"
        R"("metadata":{{"name":"{0}"}},"subjects":[{{"apiGroup":"rbac.authorization.k8s.io",)"
        R"("kind":"User","name":"user"}}],"roleRef":{{"apiGroup":"rbac.authorization.k8s.io",)"
        R"("kind":"ClusterRole","name":"{0}"}}}})",
        role)));
  }
  test::Outcome cli(test::Words words) const {
    words.insert(words.begin(), test::topolb_path());
    words.insert(words.end(), {"--kubeconfig", kubeconfig.string()});
    return test::run_to_end(words);
  }
  void expect_good(const test::Words& words) const {
    const auto outcome = cli(words);
    EXPECT_EQ(outcome.exit_code, 0) << testing::PrintToString(words) << outcome.err;
  }
  void expect_forbidden(const test::Words& words) const {
    const auto outcome = cli(words);
    EXPECT_EQ(outcome.exit_code, 2) << testing::PrintToString(words);
    EXPECT_NE(outcome.err.find("forbidden"), std::string::npos) << outcome.err;
    EXPECT_EQ(test::lines_of(outcome.err).size(), 1U) << outcome.err;
  }

  std::filesystem::path token_file;
  std::filesystem::path kubeconfig;
  const test::Words plan{"plan", "--node", "n1"};
  const test::Words set{"topology", "set", "default/web", "topology.kubernetes.io/zone"};
  const test::Words dry_run{"topology", "set", "default/web", "kubernetes.io/hostname",
                            "--dry-run"};
};

TEST_P(UsersRights, ToEdit) {
  bind("topolb-topology-edit");
  expect_good(set);
  expect_good({"topology", "get", "default/web"});
  expect_good({"topology", "unset", "default/web"});
  expect_forbidden(plan);
  expect_forbidden(dry_run);
  bind("topolb-view");
  expect_good(dry_run);
}

TEST_P(UsersRights, ToView) {
  bind("topolb-view");
  expect_good(plan);
  expect_good({"check"});
  expect_forbidden(set);
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(UsersRights);
INSTANTIATE_TEST_SUITE_P(On, UsersRights, testing::ValuesIn(real_clusters()));
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(AgentRightsOnARealServer);
INSTANTIATE_TEST_SUITE_P(On, AgentRightsOnARealServer, testing::ValuesIn(real_clusters()));

}  // namespace
}  // namespace topolb::kube
