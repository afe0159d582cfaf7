// SPDX-License-Identifier: Apache-2.0
// The commands of topolb that read or remove kernel state, against a real agent: while it runs,
// after it was killed, and with nothing there. Source: design.md 4.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "agent_fixture.h"
#include "json_text.h"

namespace topolb::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::string kBackend = "10.1.0.1:8080";

class KernelCommands : public AgentTest {
 protected:
  KernelCommands() {
    serve(kBackend);
    sandbox_.add_node_address("192.0.2.10");
    write("nodes.yaml", node_text("n1", {{"rack", "a"}}) + node_text("n2", {{"rack", "b"}}));
    write("web.yaml", service_text({.name = "web",
                                    .cluster_ip = "10.96.0.1",
                                    .metadata = keys("rack,*"),
                                    .spec = "type: NodePort, sessionAffinity: ClientIP",
                                    .ports = "{name: main, port: 80, nodePort: 30080}"}) +
                          slice_text("web", {{"10.1.0.1", "n1"}, {"10.1.0.2", "n2"}}));
    write("other.yaml",
          service_text({"a-service-with-quite-a-long-name-of-some-60-characters-in-all",
                        "fd00:96:1234:5678:9abc:def0:1234:5678"}) +
              slice_text("a-service-with-quite-a-long-name-of-some-60-characters-in-all",
                         {{"fd00:1:1234:5678:9abc:def0:1234:5678"}}));
    write("empty.yaml", service_text({"empty", "10.96.0.2"}));
    start_agent();
  }

  /// The command's JSON; its table goes along: same exit code, and no line over 80 columns.
  [[nodiscard]] JsonText read(const Words& words, int exit_code = 0) const {
    SCOPED_TRACE(::testing::PrintToString(words));
    const auto table = kernel(words);
    EXPECT_EQ(table.exit_code, exit_code) << table.err;
    EXPECT_THAT(lines_of(table.out), ::testing::Not(IsEmpty()));
    for (const auto& line : lines_of(table.out)) EXPECT_LE(line.size(), 80U) << line;
    auto with_json = words;
    with_json.insert(with_json.end(), {"-o", "json"});
    const auto json = kernel(with_json);
    EXPECT_EQ(json.exit_code, exit_code) << json.err;
    EXPECT_EQ(json.err, "");
    return JsonText(json.out);
  }

  /// All that does not depend on whether an agent runs.
  void expect_the_state_is_shown() const {
    const auto services = read({"service", "list"});
    EXPECT_THAT(services.texts("/services", "name"),
                ElementsAre("a-service-with-quite-a-long-name-of-some-60-characters-in-all",
                            "empty", "web"));
    EXPECT_EQ(services.text("/services/1/internal/verdict"), "reject");
    EXPECT_EQ(services.text("/services/2/internal/tier"), "rack");
    EXPECT_EQ(services.text("/services/2/internal/backends/0"), kBackend);
    EXPECT_EQ(services.number("/services/2/affinity_timeout_seconds"), 10800);

    const auto web = read({"service", "show", "default/web"});
    EXPECT_EQ(web.size("/services"), 1U);
    EXPECT_THAT(web.texts("/services/0/frontends", "kind"), ElementsAre("ClusterIP", "NodePort"));
    EXPECT_THAT(web.texts("/services/0/internal/tiers", "key"), ElementsAre("rack", "*"));

    const auto backends = read({"backend", "list"});
    EXPECT_THAT(backends.texts("/backends", "address"),
                ::testing::UnorderedElementsAre(kBackend, "10.1.0.2:8080",
                                                "[fd00:1:1234:5678:9abc:def0:1234:5678]:8080"));

    const auto maps = read({"map", "list"});
    for (const auto& name : maps.texts("/maps", "name")) {
      EXPECT_EQ(read({"map", "dump", name}).text("/map"), name);
    }
    EXPECT_EQ(read({"map", "dump", "frontends"}).size("/entries"), 4U);
    EXPECT_EQ(read({"map", "dump", "backends"}).size("/entries"), 3U) << "live rows only";
  }
};

TEST_F(KernelCommands, WithTheAgentUpAndDown) {
  ASSERT_EQ(dial_tcp("10.96.0.1:80").backend, kBackend);
  const auto up = read({"status"});
  EXPECT_TRUE(up.flag("/agent_running"));
  EXPECT_EQ(up.text("/node"), "n1");
  EXPECT_EQ(up.number("/service_ports"), 3);
  EXPECT_EQ(up.size("/missing"), 0U);
  for (std::size_t i = 0; i < up.size("/hooks"); ++i) {
    EXPECT_TRUE(up.flag(fmt::format("/hooks/{}/attached", i)));
  }
  expect_the_state_is_shown();

  stop_agent(SIGKILL);
  const auto down = read({"status"}, 1);  // something is missing
  EXPECT_FALSE(down.flag("/agent_running"));
  EXPECT_EQ(down.size("/missing"), 1U);
  EXPECT_EQ(down.number("/service_ports"), 3);
  expect_the_state_is_shown();
  EXPECT_EQ(dial_tcp("10.96.0.1:80").backend, kBackend) << "looking changes nothing";
}

TEST_F(KernelCommands, CountsAreThoseOfTheKernel) {
  EXPECT_EQ(answers("10.96.0.1:80", 7), std::set{kBackend});
  EXPECT_NE(dial_tcp("10.96.0.2:80").error, 0);
  const auto web = read({"service", "show", "default/web"});
  EXPECT_EQ(web.text("/services/0/connections/by_key/0/key"), "rack");
  EXPECT_EQ(web.number("/services/0/connections/by_key/0/connections"), 7);
  const auto empty = read({"service", "show", "default/empty:80"});
  EXPECT_EQ(empty.number("/services/0/connections/refused"), 1);
}

TEST_F(KernelCommands, ExplainTakesTheNodeFromThePins) {
  const auto explain = kernel({"explain", "default/web", "--manifests", path(), "-o", "json"});
  EXPECT_EQ(explain.exit_code, 0) << explain.err;
  EXPECT_EQ(JsonText(explain.out).text("/node"), "n1");
}

// The kernel itself fails over, and the commands show what the kernel would do.
TEST_F(KernelCommands, AFlippedBackendIsShown) {
  auto maps = dataplane::KernelMaps::open_pinned(sandbox_.pin_path(), dataplane::Access::ReadWrite);
  ASSERT_TRUE(maps) << maps.error().message();
  const auto id = kernel_service("web").internal.tiers.at(0).backend_ids.at(0);
  maps->backends[id].state = TOPOLB_BACKEND_UNUSABLE;
  const auto web = read({"service", "show", "default/web"});
  EXPECT_EQ(web.text("/services/0/internal/tier"), "*");
  EXPECT_EQ(web.text("/services/0/internal/tiers/0/backends/0/state"), "unusable");
  EXPECT_EQ(read({"status"}).number("/unusable_backends"), 1);
}

TEST_F(KernelCommands, CleanupIsRefusedWhileAnAgentRuns) {
  const auto refused = kernel({"cleanup"});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_EQ(refused.out, "");
  EXPECT_EQ(refused.err,
            fmt::format("topolb: another topolbd runs on pin path {}\n", sandbox_.pin_path()));
  EXPECT_EQ(dial_tcp("10.96.0.1:80").backend, kBackend);
}

TEST_F(KernelCommands, CleanupRemovesEverything) {
  const auto programs = [&] {
    return lines_of(run_to_end({"bpftool", "cgroup", "show", sandbox_.cgroup()}).out);
  };
  EXPECT_THAT(programs(), ::testing::Not(IsEmpty()));
  stop_agent(SIGTERM);
  const auto cleanup = kernel({"cleanup"});
  EXPECT_EQ(cleanup.exit_code, 0) << cleanup.err;
  EXPECT_THAT(cleanup.out, HasSubstr("connect4"));
  EXPECT_THAT(cleanup.out, HasSubstr("backends"));
  EXPECT_FALSE(std::filesystem::exists(sandbox_.pin_path()));
  EXPECT_THAT(programs(), IsEmpty());
  EXPECT_NE(dial_tcp("10.96.0.1:80").backend, kBackend);

  const auto again = kernel({"cleanup", "-o", "json"});
  EXPECT_EQ(again.exit_code, 0) << "nothing there is no error";
  EXPECT_EQ(JsonText(again.out).size("/removed"), 0U);
  for (const Words& words : {Words{"status"}, Words{"service", "list"}, Words{"map", "list"}}) {
    const auto nothing = kernel(words);
    EXPECT_NE(nothing.exit_code, 0);
    EXPECT_THAT(lines_of(nothing.err), ElementsAre(HasSubstr(sandbox_.pin_path())));
  }
  // A new agent finds nothing that holds it up.
  start_agent();
  EXPECT_EQ(dial_tcp("10.96.0.1:80").backend, kBackend);
}

}  // namespace
}  // namespace topolb::test
