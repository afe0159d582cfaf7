// SPDX-License-Identifier: Apache-2.0
// A cluster that grows under an agent that was started when it was small. Source:
// docs/decisions/0043.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <sys/resource.h>

#include <filesystem>

#include "agent_fixture.h"
#include "storm.h"

namespace topolb::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kWeb = "10.96.0.1:80";
const std::string kOne = "10.1.0.1:8080";

class AgentGrowth : public AgentTest {
 protected:
  AgentGrowth() {
    serve(kOne);
    write("node.yaml", node_text("n1", {}));
    write("web.yaml", web_text("web", "10.96.0.1", "10.1.0.1"));
  }

  /// Services that come all at once.
  void write_others(int count) const {
    std::string text;
    for (int i = 0; i < count; ++i) text += "---\n" + web_text(name(i), address(i), "10.1.0.1");
    replace("others.yaml", text);
  }
  static std::string name(int i) { return fmt::format("other{}", i); }
  static std::string address(int i) { return fmt::format("10.97.{}.{}", i / 250, i % 250); }
  static std::string frontend(int i) { return address(i) + ":80"; }

  /// How many descriptors the agent may have from now on.
  void allow_files(rlim_t count) {
    const rlimit allowed{.rlim_cur = count, .rlim_max = 4096};
    ASSERT_EQ(::prlimit(agent().pid(), RLIMIT_NOFILE, &allowed, nullptr), 0);
  }
};

TEST_F(AgentGrowth, ServesThemAllWithoutARestart) {
  start_agent();
  Storm storm(kWeb);
  for (const int others : {300, 1000, 3000}) {
    write_others(others);
    EXPECT_TRUE(comes_to(frontend(others - 1), kOne)) << others;
  }
  EXPECT_TRUE(storm.goes_on());
  storm.stop();
  EXPECT_EQ(storm.failed(), 0);
  EXPECT_TRUE(wait_until([&] { return agent().lines("the maps have more room").size() == 3; }));
  EXPECT_THAT(get("/v1/problems").body, Not(HasSubstr("MapFull")));
  EXPECT_EQ(metric(R"(topolb_map_entries{map="service_names"})"), "3001");
  EXPECT_EQ(metric(R"(topolb_map_max_entries{map="service_names"})"), "524288");
  EXPECT_EQ(state().services.size(), 3001U) << "the pins are those of the new maps";
}

TEST_F(AgentGrowth, AFlagIsTheLimit) {
  start_agent({"--max-services", "250"});
  write_others(300);
  EXPECT_TRUE(wait_until([&] { return agent().lines("MapFull").size() == 104; }))
      << "a set and a frontend of 52; id 0 is nobody's: " << agent().lines("MapFull").size();
  EXPECT_EQ(state().services.size(), 249U);
  EXPECT_EQ(metric(R"(topolb_map_max_entries{map="service_names"})"), "250");
  EXPECT_EQ(dial_tcp(kWeb).backend, kOne);
}

TEST_F(AgentGrowth, WhatTheKernelRefusesIsAProblemUntilItDoesNot) {
  start_agent();
  Storm storm(kWeb);
  const auto open = std::distance(
      std::filesystem::directory_iterator(fmt::format("/proc/{}/fd", agent().pid())), {});
  allow_files(static_cast<rlim_t>(open) + 5);
  write_others(300);
  EXPECT_TRUE(wait_until([&] { return agent().lines("MapsNotGrown").size() == 1; }));
  EXPECT_TRUE(comes_to(frontend(0), kOne)) << "those that found room are served";
  allow_files(4096);
  write_others(301);
  EXPECT_TRUE(comes_to(frontend(300), kOne));
  EXPECT_TRUE(wait_until([&] { return agent().lines("MapsNotGrown: solved").size() == 1; }));
  EXPECT_TRUE(storm.goes_on());
  storm.stop();
  EXPECT_EQ(storm.failed(), 0);
}

// At any moment between the change that needs room and the end of growing; then the next agent
// grows.
TEST_F(AgentGrowth, KilledWhileItGrows) {
  start_agent();
  Storm storm(kWeb);
  int others = 100;
  for (const int milliseconds : {40, 80, 120, 160, 200, 250, 300, 350}) {
    others = others * 8 / 5;
    write_others(others);
    std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
    EXPECT_EQ(stop_agent(SIGKILL), -SIGKILL);
    ASSERT_TRUE(storm.goes_on());
    start_agent();
    EXPECT_EQ(dial_tcp(frontend(others - 1)).backend, kOne) << others;
    EXPECT_EQ(state().services.size(), static_cast<std::size_t>(others) + 1);
  }
  storm.stop();
  EXPECT_EQ(storm.failed(), 0);
}

TEST_F(AgentGrowth, WhatCannotBePinnedIsTriedAgainWithoutAChange) {
  start_agent();
  const std::filesystem::path obstacle = sandbox_.pin_path() + "/sets-new";
  std::filesystem::create_directory(obstacle);
  write_others(300);
  EXPECT_TRUE(wait_until([&] { return agent().lines("MapsNotGrown").size() == 1; }));
  EXPECT_THAT(agent().lines("the maps have more room"), testing::IsEmpty());
  std::filesystem::remove(obstacle);
  EXPECT_TRUE(wait_until([&] { return agent().lines("MapsNotGrown: solved").size() == 1; }));
  EXPECT_THAT(get("/v1/problems").body, Not(HasSubstr("MapsNotGrown")));
  EXPECT_EQ(state().services.size(), 301U) << "the pins are those of the new maps";
}

}  // namespace
}  // namespace topolb::test
