// SPDX-License-Identifier: Apache-2.0
// The agent and its API server, with clients that connect all the time: whatever happens between
// the two, no connection fails, and the newest state gets through in the end.
#include <fmt/format.h>

#include <cerrno>
#include <csignal>
#include <thread>

#include "agent_cluster_fixture.h"

namespace topolb::kube {
namespace {

using namespace std::chrono_literals;
using test::Storm;
using test::wait_until;

TEST_P(AgentOfACluster, FollowsServicesSlicesAndNodeLabels) {
  start_agent();
  expect_only(kOne);
  move_web_to("10.1.0.2");
  expect_only(kTwo);

  put(test::web_text("more", "10.96.1.2", "10.1.0.1"));
  EXPECT_TRUE(comes_to("10.96.1.2:80", kOne));
  cluster->remove("Service", "default", "more");
  EXPECT_TRUE(wait_until([] { return test::dial_tcp("10.96.1.2:80").error != 0; }));

  put(test::service_text({"web", "10.96.1.1", test::keys("topology.kubernetes.io/zone")}) +
      test::slice_text("web", {{"10.1.0.1", "", "zone: z1"}, {"10.1.0.2", "", "zone: z2"}}));
  expect_only(kOne);
  put(test::node_text("n1", {{"topology.kubernetes.io/zone", "z2"}}));
  expect_only(kTwo);
}

/// A key that needs the other Nodes' labels: they are asked for then, with what the role allows.
TEST_P(AgentOfACluster, FollowsLabelsOfOtherNodes) {
  put(test::node_text("n1", {{"rack", "r1"}}) + test::node_text("n2", {{"rack", "r1"}}) +
      test::node_text("n3", {{"rack", "r2"}}));
  put(test::service_text({"web", "10.96.1.1", test::keys("rack")}) +
      test::slice_text("web", {{"10.1.0.1", "n2"}, {"10.1.0.2", "n3"}}));
  start_agent();
  expect_only(kOne);
  put(test::node_text("n2", {{"rack", "r3"}}) + test::node_text("n3", {{"rack", "r1"}}));
  expect_only(kTwo);
}

/// KEP-3836, with and without the other Nodes, whose specs are not read.
TEST_P(AgentOfACluster, ANodeThatIsAboutToGoIsNotHealthy) {
  const std::string head =
      "---\n{apiVersion: v1, kind: Node, metadata: {name: n1, labels: {rack: r1}}";
  const std::string stays = head + ", spec: {}}\n";
  const std::string leaves =
      head +
      ", spec: {taints: [{key: ToBeDeletedByClusterAutoscaler, value: \"1\", effect: "
      "NoSchedule}]}}\n";
  const auto comes = [](int status) {
    return wait_until([&] { return get("/healthz").status == status; });
  };
  put(stays + test::node_text("n2", {{"rack", "r1"}}));
  start_agent();
  EXPECT_EQ(get("/healthz").status, 200);
  for (const char* keys : {"topology.kubernetes.io/zone, *", "rack"}) {
    put(test::service_text({"web", "10.96.1.1", test::keys(keys)}) +
        test::slice_text("web", {{"10.1.0.1", "n2"}}));
    put(leaves);
    EXPECT_TRUE(comes(503)) << keys;
    EXPECT_EQ(get("/livez").status, 200);
    EXPECT_EQ(get("/readyz").status, 200);
    put(stays);
    EXPECT_TRUE(comes(200)) << keys;
  }
  cluster->remove("Node", "", "n1");
  EXPECT_TRUE(comes(503));
  EXPECT_EQ(get("/livez").status, 200);
}

TEST_P(AgentOfACluster, OutlivesARestartOfTheServer) {
  start_agent();
  Storm storm(kWeb, kPause);
  cluster->stop();
  std::this_thread::sleep_for(1s);
  EXPECT_TRUE(storm.goes_on());
  cluster->start();
  move_web_to("10.1.0.2");
  expect_only(kTwo);
  storm.stop();
  EXPECT_EQ(storm.failed(), 0);
}

TEST_P(AgentOfACluster, OutlivesKilledConnections) {
  start_agent();
  Storm storm(kWeb, kPause);
  for (const char* address : {"10.1.0.2", "10.1.0.1", "10.1.0.2"}) {
    cluster->cable().cut();
    move_web_to(address);
    EXPECT_TRUE(storm.goes_on());
    cluster->cable().mend();
    expect_only(std::string(address) + ":8080");
  }
  storm.stop();
  EXPECT_EQ(storm.failed(), 0);
}

TEST_P(AgentOfACluster, OutlivesACompactedHistory) {
  put(test::web_text("gone", "10.96.1.2", "10.1.0.1"));
  start_agent();
  ASSERT_TRUE(comes_to("10.96.1.2:80", kOne));
  Storm storm(kWeb, kPause);
  cluster->cable().cut();
  move_web_to("10.1.0.2");
  cluster->remove("Service", "default", "gone");
  cluster->forget_history();
  cluster->cable().mend();
  expect_only(kTwo);
  EXPECT_TRUE(wait_until([] { return test::dial_tcp("10.96.1.2:80").error != 0; }))
      << "what was deleted meanwhile is still served";
  storm.stop();
  EXPECT_EQ(storm.failed(), 0);
}

TEST_P(AgentOfACluster, OutlivesTheRotationOfItsToken) {
  start_agent();
  Storm storm(kWeb, kPause);
  const std::string old = rotate_token();
  ASSERT_TRUE(wait_until([&] { return !cluster->accepts(old); }));
  cluster->cable().cut();
  cluster->cable().mend();
  move_web_to("10.1.0.2");
  expect_only(kTwo);
  storm.stop();
  EXPECT_EQ(storm.failed(), 0);
}

/// The file gets its new token too late: for a while the agent is let in nowhere.
TEST_P(AgentOfACluster, OutlivesATokenThatHasExpired) {
  start_agent();
  Storm storm(kWeb, kPause);
  const std::string old = rotate_token();
  const std::string fresh = cluster->rotate_token();
  write("token", old);
  ASSERT_TRUE(wait_until([&] { return !cluster->accepts(old); }));
  cluster->cable().cut();
  cluster->cable().mend();
  EXPECT_TRUE(
      wait_until([] { return get("/v1/status").body.find("answered 401") != std::string::npos; }));
  EXPECT_TRUE(storm.goes_on());
  write("token", fresh);
  move_web_to("10.1.0.2");
  expect_only(kTwo);
  storm.stop();
  EXPECT_EQ(storm.failed(), 0);
}

/// Credentials by a program: run anew when the server no longer believes what it said.
TEST_P(AgentOfACluster, AsksItsCredentialPlugin) {
  write("plugin", R"sh(#!/bin/sh
printf '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential",'
printf '"status":{"token":"%s"}}' "$(cat "$(dirname "$0")/token")"
)sh");
  std::filesystem::permissions(path("plugin"), std::filesystem::perms::owner_all);
  std::string with_plugin = cluster->kubeconfig("FILE");
  with_plugin.replace(with_plugin.find(R"(tokenFile: "FILE")"),
                      std::string(R"(tokenFile: "FILE")").size(),
                      "exec: {apiVersion: client.authentication.k8s.io/v1, command: ./plugin, "
                      "interactiveMode: Never}");
  write("kubeconfig", with_plugin);
  start_agent();
  const std::string old = rotate_token();
  ASSERT_TRUE(wait_until([&] { return !cluster->accepts(old); }));
  cluster->cable().cut();
  cluster->cable().mend();
  move_web_to("10.1.0.2");
  expect_only(kTwo);
}

/// The first of two API servers is gone from the start, and then the second one's connection
/// breaks.
TEST_P(AgentOfACluster, GoesToTheNextServer) {
  std::uint16_t dead = 0;
  test::listen_on_loopback(dead).reset();
  start_agent({"--api-server", fmt::format("https://127.0.0.1:{}", dead), "--api-server",
               cluster->config().servers.front()});
  expect_only(kOne);
  cluster->cable().cut();
  cluster->cable().mend();
  move_web_to("10.1.0.2");
  expect_only(kTwo);
}

/// Unknown is not empty, and empty is not unknown: an agent that is refused one kind's list changes
/// nothing; when the list comes, and is empty, it is obeyed.
TEST_P(AgentOfACluster, TellsAnErrorFromAnEmptyList) {
  start_agent();
  expect_only(kOne);
  EXPECT_EQ(stop_agent(SIGTERM), 0);
  cluster->remove("EndpointSlice", "default", "web-v4");
  cluster->refuse_slices(true);
  Storm storm(kWeb, kPause);
  launch_agent();
  const auto is_refused = [] {
    return get("/v1/status").body.find("answered 403") != std::string::npos;
  };
  EXPECT_TRUE(wait_until(is_refused));
  cluster->stop();
  EXPECT_TRUE(storm.goes_on());
  cluster->start();
  EXPECT_TRUE(wait_until(is_refused));
  EXPECT_EQ(get("/readyz").status, 503);
  EXPECT_TRUE(storm.goes_on());
  storm.stop();
  EXPECT_EQ(storm.failed(), 0);

  cluster->refuse_slices(false);
  EXPECT_TRUE(agent().wait_for(" ready: "));
  EXPECT_EQ(test::dial_tcp(kWeb).error, ECONNREFUSED);
}

INSTANTIATE_TEST_SUITE_P(On, AgentOfACluster, testing::ValuesIn(cluster_kinds()),
                         [](const auto& tested) { return tested.param.name; });

}  // namespace
}  // namespace topolb::kube
