// SPDX-License-Identifier: Apache-2.0
// Several writers of Events and one API server, simulated or real, at hours that pass at once. What
// refusals and silence do to one is in tests/unit/kube/api/event_writer_test.cpp.
#include <map>
#include <random>

#include "cluster_events.h"
#include "kube/api_client.h"
#include "kube/event_writer.h"
#include "objects.h"

namespace topolb::kube {
namespace {

using namespace std::chrono_literals;
using web::json::value;

class EventWriters : public testing::TestWithParam<ClusterKind> {
 protected:
  EventWriters() { cluster->put(service("web", "10.96.1.1")); }

  std::shared_ptr<Api> client() const {
    return std::make_shared<ApiClient>(cluster->config(), make_transport(),
                                       [](const std::string&) { return std::string(); });
  }

  struct Writer {
    std::shared_ptr<Api> api;
    std::unique_ptr<EventWriter> writer;
  };
  void start(const std::string& node) {
    Writer made{client(), nullptr};
    EventWriterOptions options;
    options.node_name = node;
    options.lease_namespace = "kube-system";
    const auto begin = std::chrono::system_clock::now();
    made.writer = std::make_unique<EventWriter>(
        options,
        EventWriter::Environment{
            *made.api, [this] { return now; }, [this, begin] { return begin + (now - kBegin); },
            [engine = std::mt19937(writers.size()), part = std::uniform_real_distribution<double>(
                                                        0, 1)]() mutable { return part(engine); }});
    writers[node] = std::move(made);
  }
  /// Every writer knows these now.
  void tell(const std::vector<core::Problem>& problems) {
    for (auto& [node, made] : writers) made.writer->set({.of_cluster = problems, .of_node = {}});
  }
  void pass(std::chrono::seconds time) {
    for (const auto end = now + time; now < end; now += 1s) {
      for (auto& [node, made] : writers) {
        while (made.writer->step({}) == 0ms) {
        }
      }
    }
  }

  /// About web, by their notes.
  [[nodiscard]] std::map<std::string, value> events() const {
    std::map<std::string, value> found;
    for (const value& event : events_of(*cluster, "web")) {
      const bool is_new = found.try_emplace(event.at("note").as_string(), event).second;
      EXPECT_TRUE(is_new) << "two Events of one problem";
    }
    return found;
  }
  /// How often each was seen.
  [[nodiscard]] std::map<std::string, int> counts() const {
    std::map<std::string, int> found;
    for (const auto& [note, event] : events()) found[note] = times_seen(event);
    return found;
  }
  [[nodiscard]] std::string holder() const { return lease_holder(*cluster); }
  /// Those who hold the Lease as far as they know.
  [[nodiscard]] std::vector<std::string> holders() const {
    std::vector<std::string> names;
    for (const auto& [node, made] : writers) {
      if (made.writer->status().holds_lease) names.push_back(node);
    }
    return names;
  }

  using Counts = std::map<std::string, int>;
  static constexpr std::chrono::steady_clock::time_point kBegin{1000h};
  static inline const core::Problem kOne{"Service", "default", "web", "Wrong", "one"};
  static inline const core::Problem kTwo{"Service", "default", "web", "Wrong", "two"};

  std::unique_ptr<TestCluster> cluster = GetParam().make();
  std::chrono::steady_clock::time_point now = kBegin;
  std::map<std::string, Writer> writers;
};

TEST_P(EventWriters, OneOfThemWrites) {
  for (const char* node : {"n1", "n2", "n3"}) start(node);
  tell({kOne, kTwo});
  pass(20min);
  EXPECT_EQ(counts(), (Counts{{"one", 1}, {"two", 1}}));
  EXPECT_EQ(holders(), std::vector<std::string>{holder()});
  const auto first = holder();
  pass(40min);
  EXPECT_EQ(counts(), (Counts{{"one", 2}, {"two", 2}})) << "before the server forgets them";
  EXPECT_EQ(holder(), first);
}

TEST_P(EventWriters, AnotherTakesOverFromOneThatDied) {
  for (const char* node : {"n1", "n2", "n3"}) start(node);
  tell({kOne});
  pass(1min);
  const auto dead = holder();
  ASSERT_EQ(writers.erase(dead), 1U);
  pass(40s);
  EXPECT_EQ(holders(), std::vector<std::string>{}) << "the Lease is good for a minute";
  tell({kOne, kTwo});
  pass(20min);
  EXPECT_NE(holder(), dead);
  EXPECT_EQ(holders(), std::vector<std::string>{holder()});
  EXPECT_EQ(counts(), (Counts{{"one", 2}, {"two", 1}}));
}

TEST_P(EventWriters, ARestartGoesOnWithTheLeaseAtOnce) {
  start("n1");
  tell({kOne});
  pass(1min);
  start("n1");
  tell({kOne});
  pass(31s);
  EXPECT_EQ(holders(), std::vector<std::string>{"n1"});
  EXPECT_EQ(counts(), (Counts{{"one", 2}}));
}

TEST_P(EventWriters, WhatIsSolvedAndComesBackIsTheSameEvent) {
  for (const char* node : {"n1", "n2"}) start(node);
  tell({kOne});
  pass(1min);
  EXPECT_NE(holder(), "");
  tell({});
  pass(1min);
  EXPECT_EQ(holder(), "") << "nothing is left to write";
  tell({kOne});
  pass(1min);
  EXPECT_NE(holder(), "");
  EXPECT_EQ(counts(), (Counts{{"one", 2}}));
}

/// Another Service of the same name is another object: its Event is its own.
TEST_P(EventWriters, ANewServiceOfTheNameHasItsOwnEvent) {
  start("n1");
  tell({kOne});
  pass(1min);
  cluster->remove("Service", "default", "web");
  tell({});
  pass(1s);
  cluster->put(service("web", "10.96.1.1"));
  tell({kTwo});
  pass(1min);
  EXPECT_EQ(counts(), (Counts{{"one", 1}, {"two", 1}}));
  const auto uid = cluster->get("/api/v1/namespaces/default/services/web").at("metadata").at("uid");
  const auto written = events();
  EXPECT_EQ(written.at("two").at("regarding").at("uid"), uid);
  EXPECT_NE(written.at("one").at("regarding").at("uid"), uid);
}

TEST_P(EventWriters, WhatIsStillWrongAfterAnOutageIsWrittenThen) {
  start("n1");
  tell({kOne});
  pass(1min);
  cluster->cable().cut();
  tell({kTwo});
  pass(5min);
  EXPECT_EQ(holders(), std::vector<std::string>{}) << "whom the server cannot hear";
  EXPECT_GT(writers.at("n1").writer->status().failed, 0U);
  cluster->cable().mend();
  pass(3min);
  EXPECT_EQ(counts(), (Counts{{"one", 1}, {"two", 1}}));
  EXPECT_EQ(writers.at("n1").writer->status().error, "");
}

INSTANTIATE_TEST_SUITE_P(On, EventWriters, testing::ValuesIn(cluster_kinds()),
                         [](const auto& kind) { return kind.param.name; });

}  // namespace
}  // namespace topolb::kube
