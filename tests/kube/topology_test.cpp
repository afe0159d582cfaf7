// SPDX-License-Identifier: Apache-2.0
// `topolb topology` and `plan --all-nodes` against any API server.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <sstream>
#include <thread>

#include "cli_run.h"
#include "kube/api_call.h"
#include "kube/api_client.h"
#include "objects.h"
#include "test_cluster.h"

namespace topolb::cli {
namespace {

using kube::ClusterKind;

constexpr const char* kZone = "topology.kubernetes.io/zone";
constexpr const char* kWeb = "/api/v1/namespaces/default/services/web";

web::json::value with(web::json::value object, const std::string& patch) {
  const auto change = web::json::value::parse(patch);
  for (const auto& [field, value] : change.as_object()) object["spec"][field] = value;
  return object;
}

class TopologyTest : public testing::TestWithParam<ClusterKind> {
 protected:
  TopologyTest() : cluster(GetParam().make()) {
    cluster->put(kube::service("web", "10.96.1.1"));
    cluster->put(with(kube::service("local", "10.96.1.2"),
                      R"({"type": "NodePort", "externalTrafficPolicy": "Local"})"));
    cluster->put(with(kube::service("headless", "None"), "{}"));
    auto slice = kube::slice("web-1", "web", "10.1.0.1");
    slice["endpoints"][0]["nodeName"] = web::json::value("n1");
    cluster->put(slice);
    cluster->put(kube::node("n1", "z1"));
    cluster->put(kube::node("n2", "z1"));
    cluster->put(kube::node("n3", "z2"));
    directory.write("config", cluster->kubeconfig());
  }

  [[nodiscard]] Outcome run(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), "topology");
    arguments.insert(arguments.end(), {"--kubeconfig", directory.path() + "/config"});
    return topolb(arguments);
  }
  [[nodiscard]] kube::ApiClient admin() const {
    return {cluster->config(), kube::make_transport(), [](const std::string&) { return ""; }};
  }
  [[nodiscard]] web::json::value web() const {
    auto api = admin();
    const auto json = kube::call_api(api, {.target = kWeb});
    EXPECT_TRUE(json) << json.error().message();
    return json ? web::json::value::parse(*json) : web::json::value();
  }
  /// "" if it has none.
  [[nodiscard]] std::string annotation() const {
    const auto metadata = web().at("metadata");
    const std::string key = "topolb.io/topology-keys";
    if (!metadata.has_field("annotations")) return "";
    const auto& annotations = metadata.at("annotations");
    return annotations.has_field(key) ? annotations.at(key).as_string() : "";
  }

  std::unique_ptr<kube::TestCluster> cluster;
  TemporaryDirectory directory;
};

TEST_P(TopologyTest, GoesThereAndBack) {
  EXPECT_EQ(run({"get", "default/web"}).out,
            "Service        default/web\n"
            "Topology keys  none\n");
  const Outcome set = run({"set", "default/web", kZone, "*"});
  EXPECT_EQ(set.exit_code, 0);
  EXPECT_EQ(set.err, "");
  EXPECT_EQ(set.out,
            "Service  default/web\n"
            "Before   none\n"
            "Now      topology.kubernetes.io/zone, *\n");
  EXPECT_EQ(annotation(), "topology.kubernetes.io/zone, *");
  EXPECT_EQ(run({"get", "default/web"}).out,
            "Service        default/web\n"
            "Topology keys  topology.kubernetes.io/zone\n"
            "               *\n"
            "From           annotation topolb.io/topology-keys\n"
            "Valid          yes\n");
  const std::string version = web().at("metadata").at("resourceVersion").as_string();
  const Outcome again = run({"set", "default/web", "topology.kubernetes.io/zone,*"});
  EXPECT_EQ(again.exit_code, 0);
  EXPECT_NE(again.out.find("Nothing was changed: it was so already.\n"), std::string::npos);
  EXPECT_EQ(web().at("metadata").at("resourceVersion").as_string(), version);
  EXPECT_EQ(run({"unset", "default/web"}).exit_code, 0);
  EXPECT_EQ(annotation(), "");
  EXPECT_EQ(run({"unset", "default/web"}).exit_code, 0) << "nothing to do is no failure";
}

TEST_P(TopologyTest, ShowsWhatWouldMove) {
  const Outcome preview = run({"set", "default/web", kZone, "--dry-run"});
  EXPECT_EQ(preview.exit_code, 0);
  EXPECT_EQ(preview.err, "");
  EXPECT_EQ(preview.out,
            "Service  default/web\n"
            "Before   none\n"
            "After    topology.kubernetes.io/zone\n"
            "\n"
            "Port 80/TCP, IPv4\n"
            "Internal traffic: 33 % of it would move, on 1 of 3 nodes; 1 node would be left\n"
            "without a backend\n"
            "  NODES   COUNT  NOW            THEN                 MOVES\n"
            "  n3          1  10.1.0.1:8080  refused              100 %\n"
            "  n1, n2      2  10.1.0.1:8080  zone: 10.1.0.1:8080    0 %\n"
            "\n"
            "Nothing was changed: --dry-run.\n");
  EXPECT_EQ(annotation(), "");
  const Outcome json = run({"set", "default/web", kZone, "--dry-run", "-o", "json"});
  const auto document = web::json::value::parse(json.out);
  EXPECT_TRUE(document.at("changed").as_bool());
  EXPECT_TRUE(document.at("dry_run").as_bool());
  EXPECT_EQ(document.at("after").at("source").as_string(), "annotation");
  EXPECT_EQ(document.at("nodes").as_integer(), 3);
  const auto& internal = document.at("ports").at(0).at("internal");
  EXPECT_EQ(internal.at("losing_nodes").as_integer(), 1);
  EXPECT_EQ(internal.at("groups").size(), 2U);
}

struct Refusal {
  std::vector<std::string> arguments;
  int exit_code;
  std::string line;
};

TEST_P(TopologyTest, RefusesInOneLine) {
  const std::vector<Refusal> refusals{
      {{"set", "default/web", "a b"},
       2,
       "topology key \"a b\" is no label key: write the key of a Node label, such as "
       "topology.kubernetes.io/zone, or \"*\""},
      {{"set", "default/web", "*", kZone},
       2,
       "topology key \"*\" is not the last: keys after it could never be reached"},
      {{"set", "default/local", kZone},
       1,
       "topology keys do not go together with externalTrafficPolicy Local: remove one of the two"},
      {{"set", "default/none", kZone}, 1, "the cluster has no Service default/none"},
      {{"get", "none/none"}, 1, "the cluster has no Service none/none"},
      {{"get", "web"}, 2, "'web' is not NAMESPACE/NAME, such as default/web"},
  };
  for (const Refusal& refusal : refusals) {
    const Outcome outcome = run(refusal.arguments);
    EXPECT_EQ(outcome.exit_code, refusal.exit_code) << refusal.line;
    EXPECT_EQ(outcome.err, "topolb: " + refusal.line + "\n");
    EXPECT_EQ(outcome.out, "");
  }
}

TEST_P(TopologyTest, WarnsOfWhatHasNoEffect) {
  EXPECT_EQ(run({"set", "default/web", "zone", "*"}).err,
            "topolb: warning: no Node has the label zone: no backend matches it; did you mean "
            "topology.kubernetes.io/zone?\n");
  EXPECT_EQ(annotation(), "zone, *") << "it is legal";
  EXPECT_EQ(run({"set", "default/headless", kZone}).err,
            "topolb: warning: Service default/headless is not served, whatever its keys: headless, "
            "ExternalName, or without cluster IP\n");
}

// Somebody writes another annotation all the time: neither change is lost.
TEST_P(TopologyTest, LosesNobodysChange) {
  constexpr int kRounds = 10;
  std::atomic<bool> done = false;
  std::atomic<int> written = 0;
  std::thread other([&] {
    auto api = admin();
    while (!done) {
      const int next = written + 1;
      const auto patched = kube::call_api(
          api, {.method = "PATCH",
                .target = kWeb,
                .content_type = kube::kMergePatchBody,
                .body = fmt::format(R"({{"metadata":{{"annotations":{{"count":"{}"}}}}}})", next)});
      if (patched) written = next;
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
  });
  for (int round = 0; round < kRounds; ++round) {
    const auto key = fmt::format("example.com/key-{}", round);
    const Outcome set = run({"set", "default/web", key});
    EXPECT_EQ(set.exit_code, 0) << set.err;
    EXPECT_EQ(annotation(), key);
  }
  done = true;
  other.join();
  EXPECT_GT(written, 0);
  EXPECT_EQ(web().at("metadata").at("annotations").at("count").as_string(),
            std::to_string(written));
}

/// The words of a command line, cut up as a shell does it.
std::vector<std::string> words_of(const std::string& line) {
  std::vector<std::string> words;
  std::istringstream stream(line);
  for (std::string word; stream >> word;) {
    std::erase(word, '\'');
    words.push_back(word);
  }
  return words;
}

// Somebody new, with nothing but --help at hand, types what it shows.
TEST_P(TopologyTest, DoesWhatItsHelpShows) {
  std::size_t examples = 0;
  for (const auto* verb : {"get", "set", "unset"}) {
    const std::string help = topolb({"topology", verb, "--help"}).out;
    const auto begin = help.find("\nExamples:\n");
    ASSERT_NE(begin, std::string::npos);
    for (const auto& line : lines_of(help.substr(begin))) {
      auto words = words_of(line);
      if (words.size() < 3) continue;
      words.erase(words.begin(), words.begin() + 2);
      const Outcome outcome = run(words);
      EXPECT_EQ(outcome.exit_code, 0) << line << '\n' << outcome.err;
      EXPECT_NE(outcome.out, "");
      ++examples;
    }
  }
  EXPECT_GE(examples, 7U);
  EXPECT_EQ(annotation(), "");
}

TEST_P(TopologyTest, SeesTheWholeClusterInAllNodes) {
  EXPECT_EQ(run({"set", "default/web", kZone}).exit_code, 0);
  const Outcome plan =
      topolb({"plan", "--all-nodes", "--kubeconfig", directory.path() + "/config"});
  EXPECT_EQ(plan.exit_code, 0);
  EXPECT_EQ(plan.err, "");
  EXPECT_NE(plan.out.find("internal  zone 2, refused 1 "), std::string::npos) << plan.out;
}

INSTANTIATE_TEST_SUITE_P(Clusters, TopologyTest, testing::ValuesIn(kube::cluster_kinds()),
                         [](const auto& tested) { return tested.param.name; });

}  // namespace
}  // namespace topolb::cli
