// SPDX-License-Identifier: Apache-2.0
// Source of the escaping rules: RFC 8259, section 7.
#include "cli/json.h"

#include <gtest/gtest.h>

#include <limits>
#include <sstream>

namespace topolb::cli {
namespace {

std::string text_of(const Json& value) {
  std::ostringstream out;
  value.write(out);
  return out.str();
}

TEST(Json, WritesEachKindOfValue) {
  EXPECT_EQ(text_of({}), "null");
  EXPECT_EQ(text_of(true), "true");
  EXPECT_EQ(text_of(false), "false");
  EXPECT_EQ(text_of(std::uint64_t{0}), "0");
  EXPECT_EQ(text_of(std::numeric_limits<std::uint64_t>::max()), "18446744073709551615");
  EXPECT_EQ(text_of("x"), R"("x")");
  EXPECT_EQ(text_of(Json::Array{}), "[]");
  EXPECT_EQ(text_of(Json::Object{}), "{}");
}

TEST(Json, KeepsTheOrderOfMembersAndElements) {
  const Json value = Json::Object{{"b", std::uint16_t{1}}, {"a", Json::Array{"y", Json(), "x"}}};
  EXPECT_EQ(text_of(value), R"({"b": 1, "a": ["y", null, "x"]})");
}

struct StringCase {
  std::string text;
  std::string json;
};

std::ostream& operator<<(std::ostream& out, const StringCase& one) { return out << one.json; }

class JsonString : public testing::TestWithParam<StringCase> {};

TEST_P(JsonString, IsEscaped) { EXPECT_EQ(text_of(GetParam().text), GetParam().json); }

INSTANTIATE_TEST_SUITE_P(
    Cases, JsonString,
    testing::Values(StringCase{"", R"("")"}, StringCase{"a\"b\\c/d", R"("a\"b\\c/d")"},
                    StringCase{"line\nnext\ttab", R"("line\nnext\ttab")"},
                    StringCase{std::string("\0\x01\x1f\x7f", 4), R"("\u0000\u0001\u001f\u007f")"},
                    StringCase{"ä€𝄞", "\"ä€𝄞\""},
                    // No UTF-8: a lone continuation, a cut sequence, an overlong one, a surrogate.
                    StringCase{"a\x80z", R"("a\ufffdz")"},
                    StringCase{"\xe2\x82", R"("\ufffd\ufffd")"},
                    StringCase{"\xc0\xaf", R"("\ufffd\ufffd")"},
                    StringCase{"\xed\xa0\x80", R"("\ufffd\ufffd\ufffd")"}));

TEST(JsonDocument, HasOneMemberAndOneElementALine) {
  std::ostringstream out;
  {
    JsonDocument document(out);
    document.member("name", "x");
    document.member("texts", Json::Array{"a", "b"});
    document.list("rows", std::vector<std::uint32_t>{1, 2}, [](std::uint32_t id) {
      return Json::Object{{"id", id}};
    });
    document.list("none", std::vector<std::string>{},
                  [](const std::string& text) { return Json(text); });
  }
  EXPECT_EQ(out.str(), R"({"name": "x",
 "texts": ["a", "b"],
 "rows": [
  {"id": 1},
  {"id": 2}],
 "none": []}
)");
}

TEST(JsonDocument, IsAnObjectEvenWithoutMembers) {
  std::ostringstream out;
  { const JsonDocument document(out); }
  EXPECT_EQ(out.str(), "{}\n");
}

}  // namespace
}  // namespace topolb::cli
