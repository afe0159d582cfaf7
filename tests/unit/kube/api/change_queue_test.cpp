// SPDX-License-Identifier: Apache-2.0
#include "kube/change_queue.h"

#include <gtest/gtest.h>

#include "kube/resource.h"

namespace topolb::kube {
namespace {

ObjectId id_of(const std::string& name) { return {Kind::Service, {"n", name}}; }

Put put(const std::string& name, const std::string& version = "1") {
  return {DecodedObject{id_of(name), version, {}, {}}};
}

TEST(ChangeQueue, OfEachObjectTheLastChangeCounts) {
  ChangeQueue queue;
  queue.push({put("b"), put("a"), put("c")});
  queue.push({put("a", "2"), Remove{id_of("b")}, Remove{id_of("c")}, put("c", "3")});
  ClusterChanges changes = queue.take();
  ASSERT_EQ(changes.put.size(), 2U);
  EXPECT_EQ(changes.put[0].resource_version, "2");
  EXPECT_EQ(changes.put[1].resource_version, "3");
  EXPECT_EQ(changes.removed, std::vector<ObjectId>{id_of("b")});
  changes = queue.take();
  EXPECT_TRUE(changes.put.empty());
  EXPECT_TRUE(changes.removed.empty());
}

TEST(ChangeQueue, ProblemsLastUntilTheObjectCanBeRead) {
  const core::Problem problem{"Service", "n", "a", "UnsupportedVersion", "v7"};
  ChangeQueue queue;
  queue.push({Keep{id_of("a"), {problem}}});
  EXPECT_EQ(queue.take().problems, std::vector<core::Problem>{problem});
  EXPECT_EQ(queue.take().problems, std::vector<core::Problem>{problem});
  queue.push({put("a")});
  EXPECT_TRUE(queue.take().problems.empty());
}

TEST(ChangeQueue, AListIsThereOnceItsChangesAreTaken) {
  ChangeQueue queue;
  queue.push({put("a"), Synced{{Kind::Service}, "x"}});
  EXPECT_EQ(queue.taken_list({Kind::Service}), nullptr);
  queue.take();
  ASSERT_NE(queue.taken_list({Kind::Service}), nullptr);
  EXPECT_EQ(*queue.taken_list({Kind::Service}), "x");
  EXPECT_EQ(queue.taken_list({Kind::Service, Form::Metadata}), nullptr);
}

TEST(Resource, Targets) {
  EXPECT_EQ(make_target("/p", {}), "/p");
  EXPECT_EQ(make_target("/p", {{"a", "b c"}, {"none", ""}, {"d", "!x/y=z"}}),
            "/p?a=b%20c&d=%21x%2Fy%3Dz");
}

}  // namespace
}  // namespace topolb::kube
