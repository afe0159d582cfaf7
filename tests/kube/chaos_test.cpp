// SPDX-License-Identifier: Apache-2.0
// Everything at once, by chance: objects come, change and go while connections break, the server
// restarts and forgets, and answers go wrong. In the end the state is the cluster's, and on the way
// nothing was removed that was there all the time.
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "cluster_view.h"
#include "kube/api_client.h"
#include "objects.h"
#include "test_cluster.h"

namespace topolb::kube {
namespace {

constexpr unsigned kNames = 12;
constexpr int kSteps = 150;

class Chaos : public testing::TestWithParam<ClusterKind> {
 protected:
  Chaos() : cluster(GetParam().make()) {
    cluster->put(service("permanent", "10.96.1.1"));
    cluster->put(slice("permanent-a", "permanent", "10.1.0.1"));
    cluster->put(node("n1", "z1"));
    view = std::make_unique<ClusterView>(
        std::make_shared<ApiClient>(cluster->config(), make_transport(),
                                    [](const std::string&) { return std::string(); }),
        ClusterView::fast_options());
  }

  unsigned any(unsigned count) { return static_cast<unsigned>(random() % count); }

  void put_slice() {
    const std::string name = fmt::format("s{}", any(kNames));
    const std::string address = fmt::format("10.2.{}.{}", any(200), 1 + any(200));
    cluster->put(slice(name, "permanent", address));
    slices[name] = address;
  }
  void remove_slice() {
    const std::string name = fmt::format("s{}", any(kNames));
    cluster->remove("EndpointSlice", "default", name);
    slices.erase(name);
  }
  void toggle_service() {
    const unsigned number = any(kNames);
    const std::string name = fmt::format("t{}", number);
    if (services.erase(name) != 0) {
      cluster->remove("Service", "default", name);
    } else {
      cluster->put(service(name, fmt::format("10.96.2.{}", 1 + number)));
      services.insert(name);
    }
  }
  void toggle_cable() {
    is_cut = !is_cut;
    if (is_cut) {
      cluster->cable().cut();
    } else {
      cluster->cable().mend();
    }
  }
  void restart() {
    if (any(2) == 0) {
      cluster->forget_history();
    } else {
      cluster->stop();
      cluster->start();
    }
  }
  void step() {
    const unsigned chosen = any(100);
    if (chosen < 60) {
      put_slice();
    } else if (chosen < 75) {
      remove_slice();
    } else if (chosen < 85) {
      toggle_service();
    } else if (chosen < 95) {
      toggle_cable();
    } else if (chosen < 98) {
      cluster->disturb(any(1000));
    } else {
      restart();
    }
    view->wait([] { return false; }, std::chrono::milliseconds(any(20)));
  }

  /// Without what a real API server creates by itself. "" for what has no address.
  [[nodiscard]] std::map<std::string, std::string> seen() const {
    std::map<std::string, std::string> addresses;
    for (const std::string& name : view->names()) {
      if (name.ends_with("/default/kubernetes")) continue;
      std::string& address = addresses[name];
      const auto* found = std::get_if<core::EndpointSlice>(&view->find(name)->object);
      if (found != nullptr) address = found->endpoints.at(0).address.to_string();
    }
    return addresses;
  }
  [[nodiscard]] std::map<std::string, std::string> truth() const {
    std::map<std::string, std::string> addresses{{"Service/default/permanent", ""},
                                                 {"EndpointSlice/default/permanent-a", "10.1.0.1"},
                                                 {"Node//n1", ""}};
    for (const std::string& name : services) addresses["Service/default/" + name] = "";
    for (const auto& [name, address] : slices) addresses["EndpointSlice/default/" + name] = address;
    return addresses;
  }

  std::mt19937 random;
  std::unique_ptr<TestCluster> cluster;
  std::unique_ptr<ClusterView> view;
  std::map<std::string, std::string> slices;
  std::set<std::string> services;
  bool is_cut = false;
};

TEST_P(Chaos, EndsInTheTruth) {
  random.seed(std::random_device{}());
  std::stringstream state;
  state << random();
  SCOPED_TRACE("seed " + state.str());
  random.seed(static_cast<std::uint32_t>(std::stoul(state.str())));
  ASSERT_TRUE(view->wait_synced()) << view->errors();
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < kSteps; ++i) step();
    if (is_cut) toggle_cable();
    cluster->calm();
    view->wait([&] { return seen() == truth(); }, 60s);  // it may be waiting for half a minute
    ASSERT_EQ(seen(), truth()) << view->errors();
  }
  for (const char* permanent :
       {"Service/default/permanent", "EndpointSlice/default/permanent-a", "Node//n1"}) {
    EXPECT_FALSE(view->removed.contains(permanent)) << permanent;
  }
}

INSTANTIATE_TEST_SUITE_P(On, Chaos, testing::ValuesIn(cluster_kinds()),
                         [](const auto& tested) { return tested.param.name; });

}  // namespace
}  // namespace topolb::kube
