// SPDX-License-Identifier: Apache-2.0
// The text of one manifest file. Sources: design.md 4 (multi-document, `kind: List` too); kubectl
// (JSON documents next to each other, JSON in YAML files).
#include "kube/manifest_file.h"

#include <gtest/gtest.h>

#include "decode_text.h"
#include "kube/manifest_json.h"
#include "temporary_directory.h"

namespace topolb::kube::test {
namespace {

struct Case {
  const char* name;
  const char* path;
  std::string text;
  Texts expected;  // objects, then problems of documents; or the error alone
};

void PrintTo(const Case& tested, std::ostream* stream) { *stream << tested.name; }

class ManifestFileText : public testing::TestWithParam<Case> {};

TEST_P(ManifestFileText, GivesObjects) {
  const Case& tested = GetParam();
  const auto file = decode_manifest(tested.path, tested.text);
  Texts found;
  if (file) {
    for (const DecodedObject& object : file->objects) {
      found.push_back(text_of(object));
      for (const std::string& problem : text_of(object.problems)) found.back() += " | " + problem;
    }
    for (std::string& problem : full_text_of(file->problems)) found.push_back(std::move(problem));
  } else {
    found.push_back("error: " + file.error().message());
  }
  EXPECT_EQ(found, tested.expected);
}

constexpr const char* kNode1 = R"({"kind":"Node","metadata":{"name":"n1"}})";
constexpr const char* kNode2 = R"({"kind":"Node","metadata":{"name":"n2"}})";

const std::string kTwoNodes = std::string(kNode1) + "\n" + kNode2;

INSTANTIATE_TEST_SUITE_P(
    Yaml, ManifestFileText,
    testing::Values(
        Case{
            "documents",
            "a.yaml",
            service_yaml("a") + "---\n" + service_yaml("b", 81),
            {"Service default/a ips=10.96.0.1 :80/TCP", "Service default/b ips=10.96.0.1 :81/TCP"},
        },
        Case{"List",
             "a.yml",
             "kind: List\nitems:\n- kind: Node\n  metadata:\n    name: n1\n",
             {"Node /n1"}},
        Case{"empty", "a.yaml", "\n# nothing\n---\n", {}},
        Case{"JSON", "a.yaml", kNode1, {"Node /n1"}},
        Case{"JSON documents with separators",
             "a.yaml",
             std::string(kNode1) + "\n---\n" + kNode2,
             {"Node /n1", "Node /n2"}},
        Case{"JSON documents next to each other", "a.yaml", kTwoNodes, {"Node /n1", "Node /n2"}},
        Case{"YAML that begins like JSON",
             "a.yaml",
             "{kind: Node, metadata: {name: n1}}",
             {"Node /n1"}},
        Case{"byte order mark",
             "a.yaml",
             "\xef\xbb\xbfkind: Node\nmetadata: {name: n1}\n",
             {"Node /n1"}},
        Case{"numbers stay numbers",
             "a.yaml",
             "kind: Node\nmetadata:\n  name: n1\n  labels:\n    rack: 7\n    zone: '1'\n",
             {"Node /n1 zone=1 | InvalidObject metadata.labels.rack is 7, not a string (file "
              "a.yaml)"}},
        Case{"an object without a name",
             "sub/a.yaml",
             "kind: Node\nmetadata: {name: n1}\n---\n# x\nkind: Service\nmetadata: {}\n",
             {"Node /n1",
              "Service default/ InvalidObject metadata.name is missing (file sub/a.yaml, document "
              "at line 3)"}},
        Case{"an object without a kind is a problem of the file",
             "a.yaml",
             "a: 1\n",
             {"File /a.yaml InvalidObject kind is missing (file a.yaml, document at line 1)"}},
        Case{"broken",
             "a.yaml",
             "kind: Node\n---\nkind: [\n",
             {"error: line 4 column 1: did not find expected node content while parsing a flow "
              "node"}},
        Case{"a document that is no object",
             "a.yaml",
             "kind: Node\n---\nkind\n",
             {"error: document at line 2: no object"}}));

INSTANTIATE_TEST_SUITE_P(
    Json, ManifestFileText,
    testing::Values(
        Case{"one", "a.json", kNode1, {"Node /n1"}}, Case{"empty", "a.json", " \n", {}},
        Case{"byte order mark", "a.json", std::string("\xef\xbb\xbf") + kNode1, {"Node /n1"}},
        Case{"next to each other", "a.json", kTwoNodes, {"Node /n1", "Node /n2"}},
        Case{"with separators",
             "a.json",
             "---\n" + std::string(kNode1) + "\n---\n" + kNode2 + "\n",
             {"Node /n1", "Node /n2"}},
        Case{"YAML", "a.json", "kind: Node\n", {"error: line 1 column 1: expected a value"}},
        Case{"cut off",
             "a.json",
             "{\"kind\": \"Node\",\n \"metadata\": {\"name\": \"n1\"}\n",
             {"error: line 3 column 1: a { that is never closed"}},
        Case{"no comma",
             "a.json",
             "{\"kind\": \"Node\"\n \"metadata\": {}}",
             {"error: line 2 column 2: expected , or }"}},
        Case{"comma too many",
             "a.json",
             "{\"items\": [1, 2,]}",
             {"error: line 1 column 17: expected a value"}},
        Case{"no colon", "a.json", "{\"kind\", 1}", {"error: line 1 column 8: expected :"}},
        Case{"key without quotes",
             "a.json",
             "{kind: 1}",
             {"error: line 1 column 2: expected a string as key"}},
        Case{"string without end",
             "a.json",
             "{\"kind\": \"Node\n}",
             {"error: line 1 column 10: a string that is never closed"}},
        Case{"wrong bracket",
             "a.json",
             "{\"items\": [1}",
             {"error: line 1 column 13: expected , or ]"}},
        Case{"second of two",
             "a.json",
             std::string(kNode1) + "\n{\"kind\": }",
             {"error: line 2 column 10: expected a value"}},
        Case{"wrong inside of a value",
             "a.json",
             "{}\n{\"a\": 01}",
             {"error: document at line 2: no valid JSON: Problem while parsing a number"}},
        Case{"a list", "a.json", "[]", {"error: document at line 1: no object"}}));

TEST(ManifestNames, AreYamlAndJsonThatAreNotHidden) {
  for (const char* name : {"a.yaml", "a.yml", "a.json", "a.b.yaml"}) {
    EXPECT_TRUE(is_manifest_name(name)) << name;
  }
  for (const char* name :
       {".a.yaml", "..data", "a.yaml~", "a.yaml.tmp", "yaml", "a.YAML", "README"}) {
    EXPECT_FALSE(is_manifest_name(name)) << name;
  }
}

TEST(SplitJson, CountsLinesOfManyDocuments) {
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "{\n}\n";
  const auto documents = split_json(text);
  ASSERT_TRUE(documents);
  ASSERT_EQ(documents->size(), 1000U);
  EXPECT_EQ(documents->back().text, "{\n}");
  EXPECT_EQ(documents->back().line, 1999U);
}

}  // namespace
}  // namespace topolb::kube::test
