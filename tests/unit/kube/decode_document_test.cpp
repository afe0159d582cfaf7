// SPDX-License-Identifier: Apache-2.0
// Which objects a JSON document holds: kinds, versions, lists, identity. Sources: design.md 3.1;
// Kubernetes API conventions (kind and apiVersion, lists, PartialObjectMetadata, object names).
#include <gtest/gtest.h>

#include "decode_text.h"

namespace topolb::kube::test {
namespace {

struct Case {
  const char* name;
  std::string json;
  std::optional<Kind> default_kind;
  Texts objects;
  Texts problems;  // of the document
};

void PrintTo(const Case& tested, std::ostream* stream) { *stream << tested.name; }

class DecodeDocument : public testing::TestWithParam<Case> {};

TEST_P(DecodeDocument, FindsObjects) {
  const Case& tested = GetParam();
  const auto document = decode_json(tested.json, tested.default_kind);
  ASSERT_TRUE(document) << document.error().message();
  Texts objects;
  for (const DecodedObject& object : document->objects) {
    objects.push_back(text_of(object));
    for (const std::string& problem : text_of(object.problems)) objects.back() += " | " + problem;
  }
  EXPECT_EQ(objects, tested.objects);
  EXPECT_EQ(full_text_of(document->problems), tested.problems);
}

std::string node(const std::string& fields) {
  return R"({"kind":"Node","apiVersion":"v1",)" + fields + "}";
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, DecodeDocument,
    testing::Values(
        Case{"kind at the end",
             R"({"metadata":{"name":"n1"},"apiVersion":"v1","kind":"Node"})",
             {},
             {"Node /n1"},
             {}},
        Case{"no apiVersion", R"({"kind":"Node","metadata":{"name":"n1"}})", {}, {"Node /n1"}, {}},
        Case{"another kind", R"({"kind":"ConfigMap","apiVersion":"v1","metadata":{}})", {}, {}, {}},
        Case{"a Service of another API",
             R"({"kind":"Service","apiVersion":"serving.knative.dev/v1","metadata":{}})",
             {},
             {},
             {}},
        Case{"a version to come",
             R"({"kind":"Node","apiVersion":"v2","metadata":{"name":"n1"}})",
             {},
             {R"(Node /n1 none | UnsupportedVersion apiVersion is "v2", not v1)"},
             {}},
        Case{"an old slice",
             R"({"kind":"EndpointSlice","apiVersion":"discovery.k8s.io/v1beta1","addressType":7,
                 "metadata":{"name":"s","namespace":"a"}})",
             {},
             {"EndpointSlice a/s none | UnsupportedVersion apiVersion is "
              "\"discovery.k8s.io/v1beta1\", not discovery.k8s.io/v1"},
             {}},
        Case{"metadata only, of a known kind",
             R"({"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1",
                 "metadata":{"name":"n1","labels":{"a":"b"}}})",
             Kind::Node,
             {"Node /n1 a=b"},
             {}},
        Case{"metadata only, of an unknown kind",
             R"({"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1",
                 "metadata":{"name":"n1"}})",
             {},
             {},
             {}},
        Case{"no kind", R"({"metadata":{"name":"n1"}})", Kind::Node, {"Node /n1"}, {}},
        Case{"no kind, none known",
             R"({"metadata":{"name":"n1"}})",
             {},
             {},
             {" / InvalidObject kind is missing"}},
        Case{"kind of null", R"({"kind":null})", {}, {}, {" / InvalidObject kind is missing"}},
        Case{"kind of a number",
             R"({"kind":7})",
             {},
             {},
             {" / InvalidObject kind is 7, not a string"}},
        Case{"empty object", "{}", {}, {}, {" / InvalidObject kind is missing"}}));

INSTANTIATE_TEST_SUITE_P(
    Lists, DecodeDocument,
    testing::Values(
        Case{"List",
             R"({"kind":"List","apiVersion":"v1","items":[)" + node(R"("metadata":{"name":"n1"})") +
                 R"(,{"kind":"Pod"},)" + node(R"("metadata":{"name":"n2"})") + "]}",
             {},
             {"Node /n1", "Node /n2"},
             {}},
        Case{"typed list, items first",
             R"({"items":[{"metadata":{"name":"n1"}}],"apiVersion":"v1","kind":"NodeList"})",
             {},
             {"Node /n1"},
             {}},
        Case{"ServiceList",
             R"({"kind":"ServiceList","apiVersion":"v1","items":[{"metadata":{"name":"a"}}]})",
             {},
             {"Service default/a none"},
             {}},
        Case{"slices take their version from the list",
             R"({"kind":"EndpointSliceList","apiVersion":"discovery.k8s.io/v1beta1",
                 "items":[{"metadata":{"name":"a"}},
                          {"apiVersion":"discovery.k8s.io/v1","metadata":{"name":"b"}}]})",
             {},
             {"EndpointSlice default/a none | UnsupportedVersion apiVersion is "
              "\"discovery.k8s.io/v1beta1\", not discovery.k8s.io/v1",
              "EndpointSlice default/b none"},
             {}},
        Case{"PartialObjectMetadataList",
             R"({"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1","items":[
                 {"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1",
                  "metadata":{"name":"n1"}}]})",
             Kind::Node,
             {"Node /n1"},
             {}},
        Case{"a list of another API",
             R"({"kind":"ServiceList","apiVersion":"serving.knative.dev/v1",
                 "items":[{"metadata":{"name":"a"}}]})",
             {},
             {},
             {}},
        Case{
            "a list in a list",
            R"({"kind":"List","items":[{"kind":"NodeList","items":[{"metadata":{"name":"n1"}}]}]})",
            {},
            {"Node /n1"},
            {}},
        Case{"null items", R"({"kind":"List","items":null})", {}, {}, {}},
        Case{"no items", R"({"kind":"NodeList"})", {}, {}, {}},
        Case{"items that are none",
             R"({"kind":"List","items":[7,null,{},)" + node(R"("metadata":{"name":"n1"})") + "]}",
             {},
             {"Node /n1"},
             {" / InvalidObject items[0] is 7, not an object",
              " / InvalidObject items[1] is null, not an object",
              " / InvalidObject items[2].kind is missing"}}));

INSTANTIATE_TEST_SUITE_P(
    Identity, DecodeDocument,
    testing::Values(
        Case{"namespace",
             R"({"kind":"Service","metadata":{"name":"a","namespace":"b"}})",
             {},
             {"Service b/a none"},
             {}},
        Case{"empty namespace",
             R"({"kind":"Service","metadata":{"name":"a","namespace":""}})",
             {},
             {"Service default/a none"},
             {}},
        Case{"a node has no namespace",
             node(R"("metadata":{"name":"n1","namespace":7})"),
             {},
             {"Node /n1"},
             {}},
        Case{"no name",
             R"({"kind":"Service","metadata":{"namespace":"b"}})",
             {},
             {},
             {"Service b/ InvalidObject metadata.name is missing"}},
        Case{"no metadata",
             R"({"kind":"Service"})",
             {},
             {},
             {"Service default/ InvalidObject metadata.name is missing"}},
        Case{"metadata is a list",
             R"({"kind":"Service","metadata":[]})",
             {},
             {},
             {"Service default/ InvalidObject metadata is a list, not an object"}},
        Case{"name of a number",
             R"({"kind":"Service","metadata":{"name":7}})",
             {},
             {},
             {"Service default/ InvalidObject metadata.name is 7, not a string"}},
        Case{"namespace of a number",
             R"({"kind":"Service","metadata":{"name":"a","namespace":7}})",
             {},
             {},
             {"Service /a InvalidObject metadata.namespace is 7, not a string"}},
        Case{"name of more than a name",
             R"({"kind":"Service","metadata":{"name":"a/b\n"}})",
             {},
             {},
             {R"(Service default/ InvalidObject metadata.name is "a/b\u000a", not a name that the )"
              "API accepts"}},
        Case{"only one of a list has no name",
             R"({"kind":"NodeList","items":[{"metadata":{"name":"n1"}},{"metadata":{}},
                 {"metadata":{"name":"n3"}}]})",
             {},
             {"Node /n1", "Node /n3"},
             {"Node / InvalidObject items[1].metadata.name is missing"}}));

TEST(DecodeDocument, RefusesWhatIsNoObject) {
  for (const auto& [json, message] : std::vector<std::pair<std::string, std::string>>{
           {"", "no valid JSON: Empty: no JSON found"},
           {"[]", "no object"},
           {"7", "no object"},
           {R"({"kind":"Node")", "no valid JSON: "},
           {R"({"kind":"Node"} {})", "no valid JSON: "},
           // Unknown is not empty.
           {R"({"kind":"NodeList","items":{}})", "items is no list"},
           {R"({"kind":"List","items":[{"kind":"List","items":7}]})",
            "items[0].items is no list"}}) {
    const auto document = decode_json(json);
    ASSERT_FALSE(document) << json;
    EXPECT_EQ(document.error().message().substr(0, message.size()), message) << json;
  }
}

TEST(DecodeDocument, TellsVersions) {
  const auto document = decode_json(R"({"kind":"NodeList","metadata":{"resourceVersion":"12",
      "continue":"token"},"items":[{"metadata":{"name":"n1","resourceVersion":"7"}},
      {"kind":"List","metadata":{"resourceVersion":"99","continue":"x"},"items":[]}]})");
  ASSERT_TRUE(document);
  EXPECT_EQ(document->list_resource_version, "12");
  EXPECT_EQ(document->list_continue, "token");
  ASSERT_EQ(document->objects.size(), 1U);
  EXPECT_EQ(document->objects[0].resource_version, "7");
}

TEST(DecodeDocument, BoundsNesting) {
  std::string deep(100'000, '[');
  ASSERT_FALSE(decode_json(R"({"a":)" + deep + std::string(deep.size(), ']') + "}"));
  std::string lists;
  for (int i = 0; i < 400; ++i) lists += R"({"kind":"List","items":[)";
  for (int i = 0; i < 400; ++i) lists += "]}";
  EXPECT_TRUE(decode_json(lists));
}

}  // namespace
}  // namespace topolb::kube::test
