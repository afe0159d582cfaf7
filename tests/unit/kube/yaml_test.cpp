// SPDX-License-Identifier: Apache-2.0
// YAML as Kubernetes turns it into JSON. Source of the typing: sigs.k8s.io/yaml, goyaml.v2
// resolve.go (YAML 1.1 words and numbers); of merge keys: yaml.org/type/merge.html.
#include "kube/yaml.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <simdjson.h>

#include "decode_text.h"

namespace topolb::kube::test {
namespace {

std::string converted(const std::string& yaml) {
  const auto documents = yaml_to_json(yaml);
  if (!documents) return "error: " + documents.error().message();
  std::string text;
  for (const JsonDocument& document : *documents) {
    if (!text.empty()) text += ' ';
    text += document.json;
    // What the decoder is given must be JSON in any case.
    simdjson::dom::parser parser;
    EXPECT_EQ(parser.parse(document.json).error(), simdjson::SUCCESS) << document.json;
  }
  return text;
}

struct Case {
  std::string yaml;
  std::string expected;
};

void PrintTo(const Case& tested, std::ostream* stream) { *stream << tested.yaml; }

class YamlScalar : public testing::TestWithParam<Case> {};
TEST_P(YamlScalar, HasType) { EXPECT_EQ(converted(GetParam().yaml), GetParam().expected); }

INSTANTIATE_TEST_SUITE_P(
    Words, YamlScalar,
    testing::Values(Case{"[true, True, TRUE, yes, Yes, YES, on, On, ON, y, Y]",
                         "[true,true,true,true,true,true,true,true,true,true,true]"},
                    Case{"[false, False, FALSE, no, No, NO, off, Off, OFF, n, N]",
                         "[false,false,false,false,false,false,false,false,false,false,false]"},
                    Case{"[tRUE, yEs, oN, nope]", R"(["tRUE","yEs","oN","nope"])"},
                    Case{"[~, null, Null, NULL, nULL]", R"([null,null,null,null,"nULL"])"},
                    Case{"a:\nb: ''", R"({"a":null,"b":""})"},
                    Case{R"(["true", 'no', "1", '1.5', "~"])", R"(["true","no","1","1.5","~"])"},
                    Case{"[us-east-1a, 10.96.0.1, 1.2.3, 1a, kubernetes.io/hostname]",
                         R"(["us-east-1a","10.96.0.1","1.2.3","1a","kubernetes.io/hostname"])"},
                    Case{"[2001-12-14, 12:30:45, 'fd00::1', 1:2]",
                         R"(["2001-12-14","12:30:45","fd00::1","1:2"])"},
                    Case{"[., .., -, +, -., a_1, _1]", R"([".","..","-","+","-.","a_1","_1"])"}));

INSTANTIATE_TEST_SUITE_P(
    Numbers, YamlScalar,
    testing::Values(
        Case{"[0, 80, -80, +80, 007, 010, 0o17, 0x1F, 0X1f, 0b101, -0x10, 1_000]",
             "[0,80,-80,80,7,8,15,31,31,5,-16,1000]"},
        Case{"[9223372036854775807, -9223372036854775808, 18446744073709551615]",
             "[9223372036854775807,-9223372036854775808,18446744073709551615]"},
        Case{"[-0, 18446744073709551616, -9223372036854775809]",
             "[0,1.8446744073709552e+19,-9.223372036854776e+18]"},
        Case{"[80.0, 80.5, .5, 5., 1e3, 1E-2, -1.5e+2, 08, 09.5]",
             "[80,80.5,0.5,5,1000,0.01,-150,8,9.5]"},
        Case{"[1e15, 1e20, 1e300, 1e-7]", "[1e+15,1e+20,1e+300,1e-07]"},
        Case{
            "[0x, 0b2, 0o8, 1__0, 1e, e1, 1e1e1, +-1, .5_0, 0xfffffffffffffffff, 1e999]",
            R"(["0x","0b2","0o8",10,"1e","e1","1e1e1","+-1",".5_0","0xfffffffffffffffff","1e999"])"},
        Case{"[inf, nan, infinity, -inf]", R"(["inf","nan","infinity","-inf"])"},
        Case{"a: .inf", R"(error: line 1 column 4: ".inf" has no JSON form of its type)"},
        Case{"a: -.INF", R"(error: line 1 column 4: "-.INF" has no JSON form of its type)"},
        Case{"a: .NaN", R"(error: line 1 column 4: ".NaN" has no JSON form of its type)"}));

INSTANTIATE_TEST_SUITE_P(
    Tags, YamlScalar,
    testing::Values(
        Case{"[!!str 80, !!str true, !!str ~, ! 80]", R"(["80","true","~","80"])"},
        Case{R"([!!int "80", !!float 80, !!float "1.5", !!bool "yes", !!null ""])",
             "[80,80,1.5,true,null]"},
        Case{"[!local 80, !!timestamp 2001-12-14]", R"(["80","2001-12-14"])"},
        Case{"a: !!int b", R"(error: line 1 column 4: "b" has no JSON form of its type)"},
        Case{"a: !!int 1.5", R"(error: line 1 column 4: "1.5" has no JSON form of its type)"},
        Case{"a: !!bool 1", R"(error: line 1 column 4: "1" has no JSON form of its type)"}));

class YamlDocument : public testing::TestWithParam<Case> {};
TEST_P(YamlDocument, BecomesJson) { EXPECT_EQ(converted(GetParam().yaml), GetParam().expected); }

INSTANTIATE_TEST_SUITE_P(Collections, YamlDocument,
                         testing::Values(Case{"a:\n- 1\n- [x, {b: c}]\nd: {}\ne: []\n",
                                              R"({"a":[1,["x",{"b":"c"}]],"d":{},"e":[]})"},
                                         Case{"on: 1\n80: 2\n1.5: 3\n'on': 4\n010: 5\n",
                                              R"({"true":1,"80":2,"1.5":3,"on":4,"8":5})"},
                                         Case{R"("a\"\\\n\x01\u00e9": "\U0001F600/\/")",
                                              R"({"a\"\\\u000a\u0001é":"😀//"})"},
                                         Case{"a: |\n  x\n  y\nb: >-\n  x\n  y\n",
                                              R"({"a":"x\u000ay\u000a","b":"x y"})"},
                                         Case{R"({"kind": "List", "items": [1, true, null, "x"]})",
                                              R"({"kind":"List","items":[1,true,null,"x"]})"},
                                         Case{"a: 1\r\nb: x\r\n", R"({"a":1,"b":"x"})"},
                                         Case{"a: 1\na: 2\n", R"({"a":1,"a":2})"},
                                         Case{"? a\n: b\n? c\n", R"({"a":"b","c":null})"}));

INSTANTIATE_TEST_SUITE_P(
    Documents, YamlDocument,
    testing::Values(Case{"", ""}, Case{"# nothing\n", ""}, Case{"---\n---\n# nothing\n...\n", ""},
                    Case{"a: 1\n---\nb: 2\n", R"({"a":1} {"b":2})"},
                    Case{"---\na: 1\n...\n---\n\n---\n- b\n--- c\n", R"({"a":1} ["b"] "c")"},
                    Case{"%YAML 1.1\n---\na: 1\n", R"({"a":1})"},
                    Case{"a: 1\n...\n%YAML 1.1\n---\nb: 1\n", R"({"a":1} {"b":1})"}));

INSTANTIATE_TEST_SUITE_P(
    Aliases, YamlDocument,
    testing::Values(
        Case{"a: &x 1\nb: *x\nc: &y {d: *x}\ne: [*y, *y]\n",
             R"({"a":1,"b":1,"c":{"d":1},"e":[{"d":1},{"d":1}]})"},
        Case{"a: &x on\nb: &z ~\n*x : [*z]\n", R"({"a":true,"b":null,"true":[null]})"},
        Case{"&k a: *k\n", R"({"a":"a"})"},
        Case{"a: *nope\n", "error: line 1 column 4: an alias of no node that is complete"},
        Case{"a: &x 1\n---\nb: *x\n",
             "error: line 3 column 4: an alias of no node that is complete"},
        Case{"&x [*x]\n", "error: line 1 column 5: an alias of no node that is complete"},
        // A mapping's own keys win over merged ones, wherever "<<" stands: the last key counts.
        Case{"b: &b {x: 1, z: 2}\nc: {<<: *b, z: 3}\nd:\n  z: 4\n  <<: *b\n",
             R"({"b":{"x":1,"z":2},"c":{"x":1,"z":2,"z":3},"d":{"x":1,"z":2,"z":4}})"},
        Case{"- &a {x: '}'}\n- &b {x: [2, {q: 3}], z: 2}\n- <<: [*a, *b]\n",
             R"([{"x":"}"},{"x":[2,{"q":3}],"z":2},{"x":[2,{"q":3}],"z":2,"x":"}"}])"},
        Case{"a: {<<: {}, b: 1}\nc: {<<: []}\nd: {<<: {e: 1}}",
             R"({"a":{"b":1},"c":{},"d":{"e":1}})"},
        Case{R"({"<<": {a: 1}, b: <<})", R"({"<<":{"a":1},"b":"<<"})"},
        Case{"a: 1\n<<: 7\n", "error: line 2 column 5: << needs a mapping or a list of mappings"},
        Case{"<<: [{a: 1}, b]\n",
             "error: line 1 column 5: << needs a mapping or a list of mappings"},
        Case{"<<: [[{a: 1}]]\n",
             "error: line 1 column 5: << needs a mapping or a list of mappings"}));

INSTANTIATE_TEST_SUITE_P(
    Errors, YamlDocument,
    testing::Values(
        Case{"a: [1\nb: 2\n",
             "error: line 2 column 2: did not find expected ',' or ']' while parsing a flow "
             "sequence that begins in line 1"},
        Case{"a: b: c\n", "error: line 1 column 5: mapping values are not allowed in this context"},
        Case{"a:\n\t- b\n",
             "error: line 2 column 1: found character that cannot start any token while scanning "
             "for the next token"},
        Case{"{\"a\": {\"b\": 1}\n",
             "error: line 2 column 1: did not find expected ',' or '}' while parsing a flow "
             "mapping that begins in line 1"},
        Case{"ok: 1\n---\na: }\n",
             "error: line 3 column 4: did not find expected node content while parsing a block "
             "node"},
        Case{"{a: 1} b", "error: line 1 column 8: did not find expected <document start>"},
        Case{"{a: 1}\n}", "error: line 2 column 1: did not find expected <document start>"},
        Case{"a: 1\n--- b\nc: 1\n",
             "error: line 3 column 2: mapping values are not allowed in this context"},
        Case{"? [a]\n: b\n", "error: line 1 column 3: a key that is no scalar"},
        Case{"? ~\n: b\n", "error: line 1 column 3: a key that is no scalar"},
        Case{"a: \"\\\n\\\x1b\"", "error: line 2 column 2: control characters are not allowed"},
        Case{"a: 1\nb: \xff\n", "error: line 2 column 4: invalid leading UTF-8 octet"},
        Case{"a: \"b\n",
             "error: line 2 column 1: found unexpected end of stream while scanning a quoted "
             "scalar that begins in line 1"},
        Case{"a: 'it''s\n",
             "error: line 2 column 1: found unexpected end of stream while scanning a quoted "
             "scalar that begins in line 1"},
        Case{"a: !!str &x \"b\\\"\n",
             "error: line 2 column 1: found unexpected end of stream while scanning a quoted "
             "scalar that begins in line 1"},
        Case{"a: \"b\"\n# \"\n", R"({"a":"b"})"}, Case{"a: !!str it's\n", R"({"a":"it's"})"}));

TEST(YamlToJson, TellsWhereDocumentsBegin) {
  const auto documents = yaml_to_json("# comment\n---\na: 1\n---\n\n\nb: 1\n");
  ASSERT_TRUE(documents);
  ASSERT_EQ(documents->size(), 2U);
  EXPECT_EQ((*documents)[0].line, 2U);
  EXPECT_EQ((*documents)[1].line, 4U);
}

TEST(YamlToJson, BoundsAliases) {
  std::string bomb = "a: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n";
  for (int i = 1; i < 10; ++i) {
    bomb += fmt::format("a{0}: &a{0} [*a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}, *a{1}]\n", i,
                        i - 1);
  }
  EXPECT_NE(converted(bomb).find("aliases expand to too much text"), std::string::npos);
  std::string merged = fmt::format("a: &a {{k: {}}}\n", std::string(100'000, 'x'));
  for (int i = 0; i < 200; ++i) merged += fmt::format("b{}: {{<<: *a}}\n", i);
  EXPECT_NE(converted(merged).find("aliases expand to too much text"), std::string::npos);
}

TEST(YamlToJson, BoundsDepth) {
  const auto nested = [](const std::string& open, const std::string& close, std::size_t depth) {
    std::string text;
    for (std::size_t i = 0; i < depth; ++i) text += open;
    text += "1";
    for (std::size_t i = 0; i < depth; ++i) text += close;
    return text;
  };
  EXPECT_EQ(converted(nested("[", "]", kMaxYamlDepth)), nested("[", "]", kMaxYamlDepth));
  EXPECT_EQ(converted(nested("[", "]", kMaxYamlDepth + 1)),
            "error: line 1 column 201: nested too deep");
  EXPECT_EQ(converted(nested("- ", "", 100'000)), "error: line 1 column 401: nested too deep");
  EXPECT_EQ(converted(nested("{a: ", "}", 100'000)), "error: line 1 column 801: nested too deep");
}

}  // namespace
}  // namespace topolb::kube::test
