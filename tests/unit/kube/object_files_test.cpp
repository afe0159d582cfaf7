// SPDX-License-Identifier: Apache-2.0
#include "kube/object_files.h"

#include <gtest/gtest.h>

namespace topolb::kube::test {
namespace {

const ObjectId kWeb{Kind::Service, {"default", "web"}};

std::string message_of(const ObjectFiles& files, const std::string& kind, const std::string& name) {
  std::vector<core::Problem> problems{{kind, "default", name, "Reason", "wrong"}};
  files.add_to(problems);
  return problems.front().message;
}

TEST(ObjectFiles, NamesTheFileThatAnObjectCameFrom) {
  ObjectFiles files;
  files.put({.id = kWeb, .file = "a/web.yaml"});
  EXPECT_EQ(message_of(files, "Service", "web"), "wrong (file a/web.yaml)");
  EXPECT_EQ(message_of(files, "Service", "other"), "wrong");
  EXPECT_EQ(message_of(files, "EndpointSlice", "web"), "wrong") << "another object of that name";
  EXPECT_EQ(message_of(files, "File", "web"), "wrong");
  files.put({.id = kWeb, .file = "b.yaml"});
  EXPECT_EQ(message_of(files, "Service", "web"), "wrong (file b.yaml)") << "it has moved";
  files.remove(kWeb);
  EXPECT_EQ(message_of(files, "Service", "web"), "wrong");
}

TEST(ObjectFiles, AnObjectOfTheApiHasNone) {
  ObjectFiles files;
  files.put({.id = kWeb, .file = "a.yaml"});
  files.put({.id = kWeb});
  EXPECT_EQ(message_of(files, "Service", "web"), "wrong");
}

}  // namespace
}  // namespace topolb::kube::test
