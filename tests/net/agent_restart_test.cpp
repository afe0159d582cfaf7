// SPDX-License-Identifier: Apache-2.0
// An agent that ends, is killed, or is a second one: nothing happens to connections, and the next
// one goes on where it was. Source: design.md 4; issue "The main job", Must show 3 and 6.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <csignal>

#include "agent_fixture.h"
#include "json_text.h"
#include "storm.h"

namespace topolb::test {
namespace {

using ::testing::SizeIs;

constexpr const char* kWeb = "10.96.0.1:80";
const std::string kOne = "10.1.0.1:8080";
const std::string kTwo = "10.1.0.2:8080";

class AgentRestart : public AgentTest {
 protected:
  AgentRestart() {
    serve(kOne);
    serve(kTwo);
    write("node.yaml", node_text("n1", {}));
    write("web.yaml", web_text("web", "10.96.0.1", "10.1.0.1"));
    for (int i = 2; i < 10; ++i) {
      write(fmt::format("others/{}.yaml", i),
            web_text(fmt::format("other{}", i), fmt::format("10.96.0.{}", i), "10.1.0.1"));
    }
  }

  /// Service, set and backend ids of every Service, and its counters.
  [[nodiscard]] std::map<std::string, std::vector<std::uint32_t>> ids() const {
    std::map<std::string, std::vector<std::uint32_t>> all;
    for (const auto& service : state().services) {
      auto& ids = all[service.key.service.name];
      ids = service.internal.set_ids;
      ids.push_back(service.id);
      ids.push_back(service.first_counter);
      for (const auto& tier : service.internal.tiers) {
        ids.insert(ids.end(), tier.backend_ids.begin(), tier.backend_ids.end());
      }
    }
    return all;
  }
};

TEST_F(AgentRestart, SigtermEndsWithZeroAndConnectionsGoOn) {
  start_agent();
  Storm storm(kWeb);
  // A client that keeps its connection to the agent open must not hold it up.
  const UniqueFd idle = http_connect(kListen);
  ASSERT_TRUE(idle);
  ASSERT_TRUE(storm.goes_on());
  EXPECT_EQ(stop_agent(SIGTERM), 0);
  EXPECT_THAT(agent().lines("ending; the kernel goes on"), SizeIs(1));
  EXPECT_TRUE(storm.goes_on());
  EXPECT_EQ(get("/healthz").status, 0);
  start_agent();
  EXPECT_TRUE(storm.goes_on());
  EXPECT_EQ(stop_agent(SIGINT), 0);
  storm.stop();
  EXPECT_EQ(storm.failed(), 0);
}

TEST_F(AgentRestart, KilledUnderAStorm) {
  start_agent();
  const auto before = ids();
  Storm storm(kWeb);
  for (int round = 0; round < 5; ++round) {
    ASSERT_TRUE(storm.goes_on());
    EXPECT_EQ(stop_agent(SIGKILL), -SIGKILL);
    ASSERT_TRUE(storm.goes_on());
    EXPECT_EQ(dial_tcp("10.96.0.9:80").backend, kOne);
    start_agent();
    EXPECT_THAT(agent().lines("took over the maps of the agent before"), SizeIs(1));
  }
  ASSERT_TRUE(storm.goes_on());
  storm.stop();
  EXPECT_EQ(storm.failed(), 0);
  EXPECT_EQ(ids(), before);
  // What the kernel has counted goes on, too.
  const auto counted = metric(R"(topolb_connections_total{namespace="default",service="web",)"
                              R"(port="80",protocol="TCP",family="IPv4",tier=""})");
  EXPECT_GT(std::stoi(counted), 2000);
}

// The agent is killed in the middle of publishing, again and again.
TEST_F(AgentRestart, KilledWhileItPublishes) {
  start_agent();
  Storm storm(kWeb);
  for (int round = 0; round < 10; ++round) {
    for (int edit = 0; edit < 10; ++edit) {
      replace("web.yaml", web_text("web", "10.96.0.1", edit % 2 == 0 ? "10.1.0.2" : "10.1.0.1"));
    }
    stop_agent(SIGKILL);
    start_agent();
    EXPECT_EQ(dial_tcp(kWeb).backend, kOne);
  }
  storm.stop();
  EXPECT_EQ(storm.failed(), 0);
  EXPECT_TRUE(state().orphan_frontends.empty());
}

// At any moment between its first instruction and being ready.
TEST_F(AgentRestart, KilledWhileItStarts) {
  start_agent();
  const auto before = ids();
  stop_agent(SIGKILL);
  Storm storm(kWeb);
  for (int milliseconds = 0; milliseconds < 300; milliseconds += 15) {
    const Process starting(agent_command());
    std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
    starting.signal(SIGKILL);
  }
  ASSERT_TRUE(storm.goes_on());
  start_agent();
  storm.stop();
  EXPECT_EQ(storm.failed(), 0);
  EXPECT_EQ(ids(), before);
}

TEST_F(AgentRestart, EditsMadeWhileItWasDownAreApplied) {
  start_agent();
  auto before = ids();
  stop_agent(SIGKILL);
  write("web.yaml", web_text("web", "10.96.0.1", "10.1.0.2"));
  remove("others/2.yaml");
  write("more.yaml", web_text("more", "10.96.1.1", "10.1.0.2"));
  EXPECT_EQ(dial_tcp(kWeb).backend, kOne) << "the kernel goes on with the last state";
  start_agent();
  EXPECT_EQ(dial_tcp(kWeb).backend, kTwo);
  EXPECT_EQ(dial_tcp("10.96.1.1:80").backend, kTwo);
  EXPECT_NE(dial_tcp("10.96.0.2:80").error, 0);
  auto after = ids();
  EXPECT_EQ(after.erase("more"), 1U);
  for (auto* all : {&before, &after}) {
    all->erase("web");  // its set is another one
    all->erase("other2");
  }
  EXPECT_EQ(after, before);
}

TEST_F(AgentRestart, OpenSocketsGoOn) {
  serve("10.1.0.1:53", Protocol::UDP);
  write("dns.yaml", service_text({.name = "dns",
                                  .cluster_ip = "10.96.0.53",
                                  .ports = "{name: main, port: 53, protocol: UDP}"}) +
                        slice_text("dns", {{"10.1.0.1"}}, "53", "UDP"));
  start_agent();
  UdpClient resolver(Family::IPv4);
  ASSERT_EQ(resolver.ask("10.96.0.53:53").peer, "10.96.0.53:53");
  stop_agent(SIGKILL);
  EXPECT_EQ(resolver.ask("10.96.0.53:53").peer, "10.96.0.53:53");
  start_agent();
  EXPECT_EQ(resolver.ask("10.96.0.53:53").peer, "10.96.0.53:53");
}

TEST_F(AgentRestart, ASecondAgentOnThePinPathIsRefused) {
  start_agent();
  const auto before = ids();
  const auto second = run_to_end(agent_command({"--listen", "127.0.0.1:10257"}));
  EXPECT_EQ(second.exit_code, 1);
  EXPECT_EQ(second.err,
            fmt::format("topolbd: another topolbd runs on pin path {}\n", sandbox_.pin_path()));
  EXPECT_EQ(second.out, "");
  EXPECT_EQ(get("/readyz").status, 200);
  EXPECT_EQ(dial_tcp(kWeb).backend, kOne);
  EXPECT_EQ(ids(), before);
}

// Other sizes can't be taken over in place: the hooks switch over to new maps.
TEST_F(AgentRestart, OtherSizesUnderAStorm) {
  start_agent();
  Storm storm(kWeb);
  stop_agent(SIGTERM);
  start_agent({"--max-backends", "100", "--max-services", "50"});
  EXPECT_THAT(agent().lines("took over"), SizeIs(0));
  ASSERT_TRUE(storm.goes_on());
  storm.stop();
  EXPECT_EQ(storm.failed(), 0);
  EXPECT_EQ(JsonText(get("/v1/status").body).number("/maps/0/max"), 100);
}

}  // namespace
}  // namespace topolb::test
