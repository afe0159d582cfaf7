// SPDX-License-Identifier: Apache-2.0
// Random histories of a cluster: whatever led to a state, its plan is the plan of that state, and
// the operations on the way lead the kernel there.
#include <gtest/gtest.h>

#include <functional>
#include <map>

#include "core/cluster_state.h"
#include "kernel_model.h"
#include "random_cluster.h"

namespace topolb::core {
namespace {

// The objects as they should be known, kept apart from the state under test.
struct Objects {
  std::map<ObjectKey, Service> services;
  std::map<ObjectKey, EndpointSlice> slices;
  std::map<std::string, Node> nodes;
};

void change_something(test::RandomCluster& random, ClusterState& state, Objects& objects) {
  const bool remove = random.one_in(4);
  switch (random.below(3)) {
    case 0: {
      const ObjectKey key{"default", random.service_name()};
      if (remove) {
        state.remove_service(key);
        objects.services.erase(key);
      } else {
        state.put(objects.services[key] = random.service(key.name));
      }
      return;
    }
    case 1: {
      const ObjectKey key{"default", fmt::format("slice{}", random.below(5))};
      if (remove) {
        state.remove_slice(key);
        objects.slices.erase(key);
      } else {
        state.put(objects.slices[key] = random.slice(key.name));
      }
      return;
    }
    default: {
      const std::string name = random.node_name();
      if (remove) {
        state.remove_node(name);
        objects.nodes.erase(name);
      } else {
        state.put(objects.nodes[name] = random.node(name));
      }
    }
  }
}

void put_all(ClusterState& state, const Objects& objects) {
  for (const auto& [key, service] : objects.services) state.put(service);
  for (const auto& [key, slice] : objects.slices) state.put(slice);
  for (const auto& [name, node] : objects.nodes) state.put(node);
}

void expect_same(const ClusterState& state, const Objects& objects) {
  ClusterState fresh(state.options());
  put_all(fresh, objects);
  fresh.replan();
  EXPECT_EQ(state.plan(), fresh.plan());
  EXPECT_EQ(state.problems(), fresh.problems());
}

class History : public testing::TestWithParam<PlanOptions> {};

TEST_P(History, DoesNotMatter) {
  for (std::uint32_t seed = 0; seed < 150 && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(seed);
    test::RandomCluster random(seed);
    ClusterState state(GetParam());
    Objects objects;
    test::KernelModel kernel;
    for (int step = 0; step < 60 && !testing::Test::HasFailure(); ++step) {
      const std::uint32_t changes = 1 + random.below(3);
      for (std::uint32_t i = 0; i < changes; ++i) change_something(random, state, objects);
      kernel.execute(state.replan());
      kernel.expect_equals(state.plan());
      expect_same(state, objects);
    }
    // The same objects again are no change.
    put_all(state, objects);
    EXPECT_TRUE(state.replan().empty());
    EXPECT_TRUE(state.last_replanned().empty());
  }
}

INSTANTIATE_TEST_SUITE_P(Options, History,
                         testing::Values(PlanOptions{"n0", Scope::All, ""},
                                         PlanOptions{"n0", Scope::All, "topolb"},
                                         PlanOptions{"n0", Scope::OptedIn, ""},
                                         PlanOptions{"elsewhere", Scope::All, ""}));

}  // namespace
}  // namespace topolb::core
