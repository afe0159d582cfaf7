// SPDX-License-Identifier: Apache-2.0
// Which topology keys are refused: by the agent, and, where there is a real API server, by the
// shipped admission policy, both after one table.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <functional>
#include <thread>

#include "core/topology_keys.h"
#include "objects.h"
#include "real_cluster.h"

namespace topolb::kube {
namespace {

using namespace std::chrono_literals;
using web::json::value;

constexpr const char* kPolicy = "k8s/admission/topology-keys.yaml";
constexpr const char* kBinding =
    "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/topolb-topology-keys";
constexpr const char* kServices = "/api/v1/namespaces/default/services";
constexpr const char* kDryRun = "?dryRun=All";
constexpr std::size_t kMaxAnnotations = 256 << 10;  // API validation: TotalAnnotationSizeLimitB

struct Case {
  std::string keys;
  bool local = false;
  std::string policy;  // what is said; "": valid
  std::string agent;
};

std::vector<Case> cases() {
  std::vector<Case> all;
  const auto text_of = [](const value& entry, const char* field) {
    return entry.has_field(field) ? entry.at(field).as_string() : "";
  };
  const auto documents = shipped_objects("tests/kube/topology_keys_cases.yaml");
  for (const value& entry : documents.front().as_array()) {
    all.push_back({.keys = entry.at("keys").as_string(),
                   .local = entry.has_field("local"),
                   .policy = text_of(entry, "policy"),
                   .agent = text_of(entry, "agent")});
  }
  return all;
}

value annotated(const std::string& name, const std::string& keys, bool local = false) {
  value made = service(name, "");
  made["metadata"]["annotations"][std::string(core::kTopologyKeysAnnotation)] = value(keys);
  made["spec"].erase("clusterIP");
  if (local) {
    made["spec"]["type"] = value("NodePort");
    made["spec"]["externalTrafficPolicy"] = value("Local");
  }
  return made;
}

TEST(TopologyKeysTable, HoldsForTheAgent) {
  for (const Case& tested : cases()) {
    core::Service judged;
    judged.topology_keys_annotation = tested.keys;
    judged.external_local = tested.local;
    const auto verdict = core::topology_keys_of(judged);
    EXPECT_EQ(verdict.valid(), tested.agent.empty()) << tested.keys << verdict.problem_message;
    EXPECT_NE(verdict.problem_message.find(tested.agent), std::string::npos)
        << tested.keys << "\n  is: " << verdict.problem_message;
  }
}

class AdmissionPolicy : public testing::TestWithParam<std::string> {
 protected:
  static void SetUpTestSuite() {
    cluster = std::make_unique<RealCluster>(kubernetes_assets());
    install();
  }
  static void TearDownTestSuite() { cluster.reset(); }

  /// It takes a moment before it is obeyed.
  static void install() {
    for (const value& object : shipped_objects(kPolicy)) cluster->put(object);
    ASSERT_TRUE(comes_true([] { return create(annotated("probe", "*,a")).status == 422; }));
  }
  static bool comes_true(const std::function<bool()>& condition) {
    for (int tries = 0; tries < 300; ++tries) {
      if (condition()) return true;
      std::this_thread::sleep_for(100ms);
    }
    return false;
  }

  static PlainAnswer create(const value& object, const char* options = kDryRun) {
    return cluster->send("POST", std::string(kServices) + options, object.serialize());
  }
  static PlainAnswer merge(const std::string& name, const std::string& patch) {
    return cluster->send("PATCH", fmt::format("{}/{}", kServices, name), patch);
  }
  static void expect_refused(const PlainAnswer& answer, const std::string& part,
                             const std::string& what) {
    EXPECT_EQ(answer.status, 422) << what << ": " << answer.body;
    const auto said = value::parse(answer.body).at("message").as_string();
    EXPECT_NE(said.find(part), std::string::npos) << what << "\n  is: " << said;
  }

  static std::unique_ptr<RealCluster> cluster;
};
std::unique_ptr<RealCluster> AdmissionPolicy::cluster;

TEST_P(AdmissionPolicy, JudgesAsTheTableSays) {
  for (const Case& tested : cases()) {
    const auto answer = create(annotated("tested", tested.keys, tested.local));
    if (tested.policy.empty()) {
      EXPECT_EQ(answer.status, 201) << tested.keys << ": " << answer.body;
    } else {
      expect_refused(answer, tested.policy, tested.keys);
    }
  }
  EXPECT_EQ(create(service("plain", "10.96.7.7")).status, 201) << "no annotation at all";
}

/// The largest annotation there can be is refused for what is wrong, not for what judging costs.
TEST_P(AdmissionPolicy, ALargeAnnotationCostsNotTooMuch) {
  const std::size_t room = kMaxAnnotations - core::kTopologyKeysAnnotation.size();
  for (const char* unit : {"a", ",", "a,", "a/", "a.", "[", " ", "\"", "-"}) {
    std::string text;
    while (text.size() + std::char_traits<char>::length(unit) < room) text += unit;
    const auto answer = create(annotated("large", text));
    if (std::string(unit) == " ") {
      EXPECT_EQ(answer.status, 201) << answer.body.substr(0, 300);
    } else {
      expect_refused(answer, "denied request: topolb.io/topology-keys ", unit);
    }
  }
  std::string list = "[\"a\"";
  while (list.size() + 6 < room) list += ",\"a\"";
  expect_refused(create(annotated("large", list + "]")), "more than 16 keys", "a long list");
}

TEST_P(AdmissionPolicy, AnUpdateIsJudgedWhereItChangesWhatIsJudged) {
  ASSERT_EQ(cluster->send("DELETE", kBinding).status, 200);
  // Written before the policy came.
  ASSERT_TRUE(comes_true([] { return create(annotated("old", "a,a"), "").status == 201; }));
  install();
  EXPECT_EQ(merge("old", R"({"metadata":{"labels":{"b":"c"}}})").status, 200);
  expect_refused(merge("old", R"({"metadata":{"annotations":{"topolb.io/topology-keys":"b,b"}}})"),
                 "\"b\" twice", "another wrong list");
  EXPECT_EQ(merge("old", R"({"metadata":{"annotations":{"topolb.io/topology-keys":"b"}}})").status,
            200);
  expect_refused(merge("old", R"({"spec":{"type":"NodePort","externalTrafficPolicy":"Local"}})"),
                 "externalTrafficPolicy Local", "a policy that does not go with it");
  EXPECT_EQ(merge("old", R"({"metadata":{"annotations":{"topolb.io/topology-keys":null}}})").status,
            200);
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(AdmissionPolicy);
INSTANTIATE_TEST_SUITE_P(On, AdmissionPolicy, testing::ValuesIn(real_clusters()));

}  // namespace
}  // namespace topolb::kube
