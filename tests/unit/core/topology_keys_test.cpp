// SPDX-License-Identifier: Apache-2.0
// Reading and judging topologyKeys. Sources: design.md 3.2; KEP-536 (validation);
// apimachinery validation.IsQualifiedName.
#include "core/topology_keys.h"

#include <gtest/gtest.h>

namespace topolb::core {
namespace {

using Keys = std::vector<std::string>;

struct ParseCase {
  std::string text;
  std::optional<Keys> keys;
};

class ParseTopologyKeys : public testing::TestWithParam<ParseCase> {};

TEST_P(ParseTopologyKeys, ReadsTheAnnotation) {
  EXPECT_EQ(parse_topology_keys(GetParam().text), GetParam().keys);
}

INSTANTIATE_TEST_SUITE_P(
    Annotation, ParseTopologyKeys,
    testing::Values(
        // empty = not set
        ParseCase{"", Keys{}}, ParseCase{" \t\n", Keys{}}, ParseCase{"[]", Keys{}},
        ParseCase{" [ ] ", Keys{}},
        // comma-separated, blanks around entries trimmed
        ParseCase{"kubernetes.io/hostname", Keys{"kubernetes.io/hostname"}},
        ParseCase{"a,b,*", Keys{"a", "b", "*"}}, ParseCase{"  a , b\t,\n* ", Keys{"a", "b", "*"}},
        ParseCase{"a b", Keys{"a b"}},
        // an empty entry stays, to be judged
        ParseCase{"a,,b", Keys{"a", "", "b"}}, ParseCase{"a,", Keys{"a", ""}},
        ParseCase{",", Keys{"", ""}},
        // a JSON list
        ParseCase{R"(["a","b"])", Keys{"a", "b"}}, ParseCase{R"( [ " a" , "*" ] )", Keys{"a", "*"}},
        ParseCase{R"(["a,b"])", Keys{"a,b"}}, ParseCase{R"([""])", Keys{""}},
        ParseCase{"[\"\\u0061\"]", Keys{"a"}},
        // begins as a JSON list, but is none of strings
        ParseCase{"[", std::nullopt}, ParseCase{"[a]", std::nullopt},
        ParseCase{R"(["a"] b)", std::nullopt}, ParseCase{R"(["a",])", std::nullopt},
        ParseCase{"[1]", std::nullopt}, ParseCase{R"(["a",null])", std::nullopt},
        ParseCase{R"([["a"]])", std::nullopt}, ParseCase{"[\"\xff\"]", std::nullopt},
        // no list at all: read as a comma-separated entry, which the judge refuses
        ParseCase{R"({"a":1})", Keys{R"({"a":1})"}}, ParseCase{R"("a")", Keys{R"("a")"}}));

struct LabelKeyCase {
  std::string text;
  bool valid;
};

class IsLabelKey : public testing::TestWithParam<LabelKeyCase> {};

TEST_P(IsLabelKey, AsQualifiedName) {
  EXPECT_EQ(is_label_key(GetParam().text), GetParam().valid) << GetParam().text;
}

INSTANTIATE_TEST_SUITE_P(
    QualifiedName, IsLabelKey,
    testing::Values(LabelKeyCase{"rack", true}, LabelKeyCase{"Rack_1.a-b", true},
                    LabelKeyCase{"1", true}, LabelKeyCase{"topology.kubernetes.io/zone", true},
                    LabelKeyCase{"a/B", true}, LabelKeyCase{std::string(63, 'a'), true},
                    LabelKeyCase{std::string(64, 'a'), false},
                    LabelKeyCase{std::string(253, 'a') + "/a", true},
                    LabelKeyCase{std::string(254, 'a') + "/a", false}, LabelKeyCase{"", false},
                    LabelKeyCase{"/", false}, LabelKeyCase{"a/", false}, LabelKeyCase{"/a", false},
                    LabelKeyCase{"a/b/c", false}, LabelKeyCase{"A/b", false},
                    LabelKeyCase{"a_b/c", false}, LabelKeyCase{"a..b/c", false},
                    LabelKeyCase{".a/c", false}, LabelKeyCase{"a./c", false},
                    LabelKeyCase{"-a/c", false}, LabelKeyCase{"a-/c", false},
                    LabelKeyCase{"a.-b/c", false}, LabelKeyCase{"-a", false},
                    LabelKeyCase{"a-", false}, LabelKeyCase{".a", false}, LabelKeyCase{"a_", false},
                    LabelKeyCase{"a b", false}, LabelKeyCase{"a*", false}, LabelKeyCase{"*", false},
                    LabelKeyCase{"\xc3\xa4", false}, LabelKeyCase{std::string("a\0", 2), false}));

Keys numbered_keys(int count) {
  Keys keys;
  for (int i = 0; i < count; ++i) keys.push_back("key" + std::to_string(i));
  return keys;
}

struct JudgeCase {
  Keys keys;
  std::string said;  // a part of the message; "": valid
};

class JudgeTopologyKeys : public testing::TestWithParam<JudgeCase> {};

TEST_P(JudgeTopologyKeys, KeepsTheRulesOfKep536) {
  const std::string rule = judge_topology_keys(GetParam().keys);
  if (GetParam().said.empty()) {
    EXPECT_EQ(rule, "");
  } else {
    EXPECT_NE(rule.find(GetParam().said), std::string::npos) << rule;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Kep536, JudgeTopologyKeys,
    testing::Values(JudgeCase{{}, ""}, JudgeCase{{"*"}, ""},
                    JudgeCase{{"kubernetes.io/hostname", "topology.kubernetes.io/zone", "*"}, ""},
                    JudgeCase{numbered_keys(16), ""},
                    JudgeCase{numbered_keys(17), "17 topology keys, at most 16"},
                    JudgeCase{{"a", "b", "a"}, "\"a\" is there twice"},
                    JudgeCase{{"*", "*"}, "\"*\" is there twice"},
                    JudgeCase{{"*", "a"}, "\"*\" is not the last"},
                    JudgeCase{{"a b"}, "\"a b\" is no label key"},
                    JudgeCase{{"a", ""}, "\"\" is no label key"},
                    JudgeCase{{"a\nb"}, "\"a?b\" is no label key"},
                    JudgeCase{{std::string(300, 'x')}, "xxx...\" is no label key"}));

struct SourceCase {
  std::optional<std::string> annotation;
  Keys spec;
  bool external_local;
  Keys keys;
  std::string reason;
};

class TopologyKeysOf : public testing::TestWithParam<SourceCase> {};

TEST_P(TopologyKeysOf, AnnotationBeforeSpec) {
  Service service;
  service.topology_keys_annotation = GetParam().annotation;
  service.topology_keys_spec = GetParam().spec;
  service.external_local = GetParam().external_local;
  const TopologyKeys keys = topology_keys_of(service);
  EXPECT_EQ(keys.keys, GetParam().keys);
  EXPECT_EQ(keys.problem_reason, GetParam().reason);
  EXPECT_EQ(keys.valid(), GetParam().reason.empty());
  EXPECT_EQ(keys.problem_message.empty(), keys.valid());
}

INSTANTIATE_TEST_SUITE_P(
    Design32, TopologyKeysOf,
    testing::Values(
        SourceCase{std::nullopt, {}, false, {}, ""},
        SourceCase{std::nullopt, {"a"}, false, {"a"}, ""}, SourceCase{"b", {"a"}, false, {"b"}, ""},
        // an empty annotation is not set
        SourceCase{"", {"a"}, false, {"a"}, ""}, SourceCase{" ", {"a"}, false, {"a"}, ""},
        SourceCase{"[]", {"a"}, false, {"a"}, ""},
        // an invalid annotation does not give way to the spec
        SourceCase{"[", {"a"}, false, {}, "InvalidTopologyKeys"},
        SourceCase{"a,a", {"a"}, false, {}, "InvalidTopologyKeys"},
        // the annotation wins over an invalid spec
        SourceCase{"a", {"a", "a"}, false, {"a"}, ""},
        // entries of the spec are taken as written
        SourceCase{std::nullopt, {" a"}, false, {}, "InvalidTopologyKeys"},
        SourceCase{std::nullopt, {""}, false, {}, "InvalidTopologyKeys"},
        // externalTrafficPolicy Local
        SourceCase{"a", {}, true, {}, "TopologyKeysConflict"},
        SourceCase{std::nullopt, {"*"}, true, {}, "TopologyKeysConflict"},
        SourceCase{"*,a", {}, true, {}, "InvalidTopologyKeys"}, SourceCase{"", {}, true, {}, ""}));

}  // namespace
}  // namespace topolb::core
