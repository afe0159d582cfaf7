// SPDX-License-Identifier: Apache-2.0
// Several writers of Events and one API server, simulated or real: who writes, and that each is
// there once. What refusals and silence do is in tests/unit/kube/api/event_writer_test.cpp.
#include <random>
#include <thread>

#include "cluster_events.h"
#include "kube/api_client.h"
#include "kube/event_writer.h"

namespace topolb::kube {
namespace {

using namespace std::chrono_literals;

bool wait_until(const std::function<bool()>& condition) {
  for (const auto end = std::chrono::steady_clock::now() + 30s;
       std::chrono::steady_clock::now() < end; std::this_thread::sleep_for(20ms)) {
    if (condition()) return true;
  }
  return false;
}

std::shared_ptr<Api> client_of(const TestCluster& cluster) {
  return std::make_shared<ApiClient>(cluster.config(), make_transport(),
                                     [](const std::string&) { return std::string(); });
}

class Events : public testing::TestWithParam<ClusterKind> {
 protected:
  Events() : cluster(GetParam().make()) {
    cluster->put(web::json::value::parse(
        R"({"apiVersion":"v1","kind":"Service","metadata":{"namespace":"default","name":"web"},)"
        R"("spec":{"clusterIP":"10.96.1.1","ports":[{"port":80}]}})"));
  }

  /// A writer as on another node, with times for tests; ends like one that was killed.
  struct Node {
    Node(const TestCluster& cluster, std::string name)
        : api(client_of(cluster)),
          writer(options_of(std::move(name)),
                 {*api, [] { return std::chrono::steady_clock::now(); },
                  [] { return std::chrono::system_clock::now(); },
                  [engine = std::mt19937(7), part = std::uniform_real_distribution<double>(
                                                 0, 1)]() mutable { return part(engine); }}),
          thread([this](const std::stop_token& stop) { writer.run(stop); }) {}

    static EventWriterOptions options_of(std::string name) {
      EventWriterOptions options{.node_name = std::move(name), .lease_namespace = "kube-system"};
      options.lease = {.duration = 2s,
                       .renew_every = 200ms,
                       .renew_deadline = 1500ms,
                       .first_look = 50ms,
                       .look_every = 200ms};
      return options;
    }

    std::shared_ptr<Api> api;
    EventWriter writer;
    std::jthread thread;
  };

  static EventProblems wrong(const std::string& message) {
    return {.of_cluster = {{"Service", "default", "web", "Wrong", message}}, .of_node = {}};
  }

  std::unique_ptr<TestCluster> cluster;
};

TEST_P(Events, AreWrittenByOneNodeAndThenByTheNext) {
  auto one = std::make_unique<Node>(*cluster, "n1");
  one->writer.set(wrong("it is wrong"));
  ASSERT_TRUE(wait_until([&] { return count_of(*cluster, "web") == 1; }));
  Node other(*cluster, "n2");
  other.writer.set(wrong("it is wrong"));
  // As long as the holder renews, whoever else looks in vain.
  std::this_thread::sleep_for(Node::options_of("").lease.duration * 3 / 2);
  EXPECT_FALSE(other.writer.status().holds_lease);
  EXPECT_EQ(count_of(*cluster, "web"), 1);
  one.reset();
  EXPECT_TRUE(wait_until([&] { return count_of(*cluster, "web") == 2; }));
  EXPECT_EQ(lease_holder(*cluster), "n2");
  EXPECT_EQ(other.writer.status().written, 1U);
}

TEST_P(Events, ComeLaterWhenTheServerWasAway) {
  Node one(*cluster, "n1");
  one.writer.set(wrong("at first"));
  ASSERT_TRUE(wait_until([&] { return count_of(*cluster, "web") == 1; }));
  cluster->cable().cut();
  one.writer.set(
      {.of_cluster = {{"Service", "default", "web", "Other", "and then"}}, .of_node = {}});
  EXPECT_TRUE(wait_until([&] { return one.writer.status().failed > 0; }));
  cluster->cable().mend();
  EXPECT_TRUE(wait_until([&] { return events_of(*cluster, "web").size() == 2; }));
}

INSTANTIATE_TEST_SUITE_P(On, Events, testing::ValuesIn(cluster_kinds()),
                         [](const auto& kind) { return kind.param.name; });

}  // namespace
}  // namespace topolb::kube
