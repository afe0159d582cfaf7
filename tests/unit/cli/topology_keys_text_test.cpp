// SPDX-License-Identifier: Apache-2.0
// What users type as keys. Source: design.md 3.2.
#include "cli/topology_keys_text.h"

#include <gtest/gtest.h>

namespace topolb::cli {
namespace {

using Texts = std::vector<std::string>;

TEST(KeyArguments, AreOneKeyEachOrAList) {
  EXPECT_EQ(*parse_key_arguments({"a", "b/c", "*"}, {}), (Texts{"a", "b/c", "*"}));
  EXPECT_EQ(*parse_key_arguments({"a, b/c", "*"}, {}), (Texts{"a", "b/c", "*"}));
  EXPECT_EQ(*parse_key_arguments({R"(["a", "*"])"}, {}), (Texts{"a", "*"}));
}

TEST(KeyArguments, SayWhatToWriteInstead) {
  const auto error = [](const Texts& arguments, const Texts& files = {}) {
    const auto keys = parse_key_arguments(arguments, files);
    return keys ? "" : keys.error().message();
  };
  EXPECT_EQ(error({""}), "an empty KEY: to take all keys away, use unset");
  EXPECT_EQ(error({"[a"}), "'[a' begins with '[' but is no JSON list of keys");
  EXPECT_EQ(error({"zone=eu"}),
            "topology key \"zone=eu\" is no label key: write the key of a Node label, such as "
            "topology.kubernetes.io/zone, or \"*\"");
  EXPECT_EQ(error({"a", "a"}), "topology key \"a\" is there twice: write each key once");
  EXPECT_EQ(error(Texts(17, "a")), "17 topology keys, at most 16 are allowed");
  EXPECT_EQ(error({"*", "a"}),
            "topology key \"*\" is not the last: keys after it could never be reached");
}

// A star without quotes arrives as the files of the directory, most of which are legal keys.
TEST(KeyArguments, FindAStarThatTheShellReplaced) {
  const Texts files{"Makefile", "docs", "src"};
  const auto keys = parse_key_arguments({"rack", "docs", "Makefile", "src"}, files);
  ASSERT_FALSE(keys);
  EXPECT_EQ(keys.error().message(),
            "the shell has replaced a star by the names of the files here (Makefile, docs, src): "
            "write it in quotes, '*'");
  EXPECT_TRUE(parse_key_arguments({"rack", "docs"}, files));
  EXPECT_TRUE(parse_key_arguments({"rack"}, {}));
}

TEST(LikelyKey, IsAWellKnownOneOfTheSameLastWord) {
  EXPECT_EQ(likely_key("zone"), "topology.kubernetes.io/zone");
  EXPECT_EQ(likely_key("failure-domain.beta.kubernetes.io/region"),
            "topology.kubernetes.io/region");
  EXPECT_EQ(likely_key("hostname"), "kubernetes.io/hostname");
  EXPECT_EQ(likely_key("kubernetes.io/hostname"), "");
  EXPECT_EQ(likely_key("rack"), "");
}

}  // namespace
}  // namespace topolb::cli
