// SPDX-License-Identifier: Apache-2.0
// Objects that are wrong: one line each, in the log of the running agent and from `topolb check`,
// naming file and object, and everything else works. Source: issue "The main job", Must show 6.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "agent_fixture.h"
#include "json_text.h"

namespace topolb::test {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::string kBackend = "10.1.0.1:8080";

struct BadObject {
  const char* name;  // of the test
  std::string file;
  std::string text;
  std::vector<std::string> words;  // each in the one line
  bool file_is_read = true;        // what else is in the file is served
};

void PrintTo(const BadObject& object, std::ostream* out) { *out << object.name; }

std::string seventeen_keys() {
  std::string list = "k1";
  for (int i = 2; i <= 17; ++i) list += fmt::format(",k{}", i);
  return keys(list);
}

std::vector<BadObject> bad_objects() {
  return {
      {"UnparsableYaml",
       "bad.yaml",
       "kind: Service\n  metadata: [\n",
       {"File bad.yaml: InvalidManifest: line 2"},
       false},
      {"UnparsableJson",
       "bad.json",
       "{\"kind\": \"Service\",",
       {"File bad.json: InvalidManifest: line"},
       false},
      {"NoName",
       "bad.yaml",
       "---\nkind: Service\nspec: {clusterIP: 10.96.0.9, ports: [{port: 80}]}\n",
       {"Service", "InvalidObject: metadata.name is missing", "file bad.yaml", "document at line"}},
      {"NoAddress",
       "bad.yaml",
       service_text({"bad", "10.96.0.300"}),
       {"Service default/bad: InvalidAddress", "10.96.0.300", "file bad.yaml"}},
      {"NoEndpointAddress",
       "bad.yaml",
       slice_text("bad", {{"10.1.0.x"}}),
       {"EndpointSlice default/bad-v4: InvalidAddress", "10.1.0.x", "file bad.yaml"}},
      {"PortZero",
       "bad.yaml",
       service_text({.name = "bad", .cluster_ip = "10.96.0.9", .ports = "{name: a, port: 0}"}),
       {"Service default/bad: InvalidPort", "spec.ports[0].port is 0", "file bad.yaml"}},
      {"PortTooLarge",
       "bad.yaml",
       service_text({.name = "bad", .cluster_ip = "10.96.0.9", .ports = "{name: a, port: 70000}"}),
       {"Service default/bad: InvalidPort", "70000", "file bad.yaml"}},
      {"EndpointPortTooLarge",
       "bad.yaml",
       slice_text("bad", {{"10.1.0.9"}}, "70000"),
       {"EndpointSlice default/bad-v4: InvalidPort", "70000", "file bad.yaml"}},
      {"SeventeenKeys",
       "bad.yaml",
       service_text({"bad", "10.96.0.9", seventeen_keys()}),
       {"Service default/bad: InvalidTopologyKeys: 17 topology keys", "file bad.yaml"}},
      {"SameFrontend",
       "bad.yaml",
       service_text({"wrong", "10.96.0.1"}),
       {"Service default/wrong: FrontendConflict", "10.96.0.1:80", "file bad.yaml"}},
      {"Sctp",
       "bad.yaml",
       service_text({.name = "bad",
                     .cluster_ip = "10.96.0.9",
                     .ports = "{name: a, port: 80, protocol: SCTP}"}),
       {"Service default/bad: UnsupportedProtocol", "file bad.yaml"}},
  };
}

class BadObjects : public AgentTest, public ::testing::WithParamInterface<BadObject> {
 protected:
  BadObjects() {
    serve(kBackend);
    write("good.yaml", node_text("n1", {}) + web_text("good", "10.96.0.1", "10.1.0.1"));
  }

  /// With a good Service behind the bad object.
  void write_bad() const {
    write(GetParam().file,
          GetParam().text +
              (GetParam().file_is_read ? web_text("same-file", "10.96.0.2", "10.1.0.1") : ""));
  }

  static void expect_good_ones() {
    EXPECT_EQ(dial_tcp("10.96.0.1:80").backend, kBackend);
    EXPECT_TRUE(!GetParam().file_is_read || comes_to("10.96.0.2:80", kBackend));
  }

  static void expect_line(const Words& lines) {
    ASSERT_EQ(lines.size(), 1U) << ::testing::PrintToString(lines);
    for (const auto& words : GetParam().words) EXPECT_THAT(lines.front(), HasSubstr(words));
  }
};

TEST_P(BadObjects, AtTheStart) {
  write_bad();
  start_agent();
  expect_line(agent().lines(" warning "));
  expect_good_ones();
  EXPECT_EQ(JsonText(get("/v1/problems").body).size("/problems"), 1U);
}

TEST_P(BadObjects, WhileTheAgentRuns) {
  start_agent();
  write_bad();
  ASSERT_TRUE(wait_until([&] { return !agent().lines(" warning ").empty(); }));
  expect_good_ones();
  expect_line(agent().lines(" warning "));
  remove(GetParam().file);
  EXPECT_TRUE(agent().wait_for(": solved"));
  EXPECT_TRUE(wait_until([] { return JsonText(get("/v1/problems").body).size("/problems") == 0; }));
}

TEST_P(BadObjects, ByTheCommandLine) {
  write_bad();
  const auto check = cli({"check", "--manifests", path(), "-o", "json"});
  EXPECT_EQ(check.exit_code, 1);
  EXPECT_EQ(check.err, "");
  const JsonText problems(check.out);
  ASSERT_EQ(problems.size("/problems"), 1U) << check.out;
  const auto owner = problems.text("/problems/0/namespace");
  expect_line(
      {fmt::format("{} {}{}: {}: {}", problems.text("/problems/0/kind"),
                   owner.empty() ? "" : owner + "/", problems.text("/problems/0/name"),
                   problems.text("/problems/0/reason"), problems.text("/problems/0/message"))});
  EXPECT_EQ(cli({"plan", "--manifests", path(), "--node", "n1"}).exit_code, 0);
}

INSTANTIATE_TEST_SUITE_P(MustShow6, BadObjects, ::testing::ValuesIn(bad_objects()),
                         [](const auto& test) { return std::string(test.param.name); });

using BadFiles = AgentTest;

TEST_F(BadFiles, ABrokenFileKeepsWhatItLastHeld) {
  serve(kBackend);
  write("web.yaml", web_text("web", "10.96.0.1", "10.1.0.1"));
  start_agent();
  write("web.yaml", "apiVersion: v1\nkind: [Service\n");
  ASSERT_TRUE(agent().wait_for("File web.yaml: InvalidManifest"));
  EXPECT_EQ(dial_tcp("10.96.0.1:80").backend, kBackend);
  stop_agent(SIGTERM);
  // Nobody knows any more what it held: an agent that starts must not make up a Service.
  start_agent();
  EXPECT_THAT(agent().lines("InvalidManifest"), ElementsAre(HasSubstr("File web.yaml")));
  write("web.yaml", web_text("web", "10.96.0.1", "10.1.0.1"));
  EXPECT_TRUE(comes_to("10.96.0.1:80", kBackend));
  EXPECT_TRUE(agent().wait_for("File web.yaml: InvalidManifest: solved"));
}

TEST_F(BadFiles, AnUnknownNodeHasNoLabels) {
  serve(kBackend);
  write("web.yaml", node_text("n2", {{"rack", "a"}}) +
                        service_text({"web", "10.96.0.1", keys("rack,*")}) +
                        slice_text("web", {{"10.1.0.1", "n9"}}));
  start_agent();
  EXPECT_THAT(agent().lines(" warning "),
              ElementsAre(AllOf(HasSubstr("node n1"), HasSubstr("no Node object"))));
  EXPECT_EQ(dial_tcp("10.96.0.1:80").backend, kBackend) << "* matches";
  EXPECT_EQ(JsonText(get("/v1/problems").body).size("/problems"), 0U);
  const auto plan = cli({"plan", "--manifests", path(), "--node", "n1", "-o", "json"});
  EXPECT_EQ(plan.exit_code, 0);
  EXPECT_THAT(lines_of(plan.err), ElementsAre(HasSubstr("n1")));
  EXPECT_EQ(JsonText(plan.out).size("/problems"), 0U);
}

}  // namespace
}  // namespace topolb::test
