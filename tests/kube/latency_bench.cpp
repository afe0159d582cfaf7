// SPDX-License-Identifier: Apache-2.0
// How long an update of an EndpointSlice takes from the API server to new connections, with many
// Services: the real agent, a client that connects all the time, and a plain watch of our own
// beside the agent's, which tells when the server sends an update. No time is asserted.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <random>
#include <thread>

#include "agent_cluster_fixture.h"
#include "plain_http.h"

namespace topolb::kube {
namespace {

using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::duration<double, std::milli>;

constexpr int kUpdates = 300;
constexpr int kServices = 1000;

std::string address_of(int service) {
  return fmt::format("10.96.{}.{}", 2 + service / 250, 1 + service % 250);
}

void print_row(const std::string& cluster, const char* from, std::vector<double> values) {
  std::ranges::sort(values);
  const auto at = [&](double share) {
    return values[static_cast<std::size_t>(share * static_cast<double>(values.size() - 1))];
  };
  fmt::print("| {} | {} | {} | {:.2f} | {:.2f} | {:.2f} |\n", cluster, from, values.size(), at(0.5),
             at(0.99), values.back());
}

class Latency : public AgentOfACluster {};

TEST_P(Latency, OfAnEndpointSlice) {
  for (int i = 0; i < kServices; ++i) {
    put(test::web_text(fmt::format("s{}", i), address_of(i), "10.1.0.1"));
  }
  start_agent();
  PlainWatch watch(
      {.port = cluster->cable().port(),
       .target = "/apis/discovery.k8s.io/v1/endpointslices?watch=1&timeoutSeconds=3600",
       .headers = {"Authorization: Bearer " + token()}});
  std::this_thread::sleep_for(std::chrono::seconds(2));  // what there is already has come by then
  std::mt19937 random(1);
  std::vector<double> from_server;
  std::vector<double> from_writing;
  std::vector<bool> moved(static_cast<std::size_t>(kServices));
  for (int i = 0; i < kUpdates; ++i) {
    const auto chosen = random() % moved.size();
    moved[chosen] = !moved[chosen];
    const std::string host = moved[chosen] ? "10.1.0.2" : "10.1.0.1";
    const std::string frontend = address_of(static_cast<int>(chosen)) + ":80";
    const auto written = Clock::now();
    put(test::slice_text(fmt::format("s{}", chosen), {{host}}));
    while (test::dial_tcp(frontend).backend != host + ":8080") {
      ASSERT_LT(Clock::now() - written, test::kDeadline);
    }
    const auto reached = Clock::now();
    from_writing.push_back(Milliseconds(reached - written).count());
    from_server.push_back(Milliseconds(reached - watch.first_after(written)).count());
  }
  print_row(GetParam().name, "sent", from_server);
  print_row(GetParam().name, "write asked for", from_writing);
}

INSTANTIATE_TEST_SUITE_P(On, Latency, testing::ValuesIn(cluster_kinds()),
                         [](const auto& tested) { return tested.param.name; });

}  // namespace
}  // namespace topolb::kube
