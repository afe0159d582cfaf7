// SPDX-License-Identifier: Apache-2.0
#include "cli/table.h"

#include <gtest/gtest.h>

#include <sstream>

#include "cli_run.h"

namespace topolb::cli {
namespace {

using Texts = std::vector<std::string>;

std::string text_of(const Table& table) {
  std::ostringstream out;
  table.print(out);
  return out.str();
}

TEST(Table, AlignsColumnsWithoutTrailingBlanks) {
  Table table({{"NAME"}, {"COUNT", Align::Right}, {"NOTE"}});
  table.row({"a", "1", "x"});
  table.row({"longer", "1000", ""});
  EXPECT_EQ(text_of(table),
            "NAME    COUNT  NOTE\n"
            "a           1  x\n"
            "longer   1000\n");
}

TEST(Table, WithoutHeadersHasNoHeaderLine) {
  Table table({{""}, {""}}, 2);
  table.row({"a", "b"});
  EXPECT_EQ(text_of(table), "  a  b\n");
}

TEST(Table, WidthIsInCharacters) {
  Table table({{"A"}, {"B"}});
  table.row({"zürich", "x"});
  table.row({"berlin", "y"});
  EXPECT_EQ(text_of(table),
            "A       B\n"
            "zürich  x\n"
            "berlin  y\n");
}

TEST(Table, ShortensListsToTheWidth) {
  Table table({{"NAME"}, {"BACKENDS"}});
  table.row({"many", Texts(9, "10.100.100.100:8080")});
  table.row({"few", Texts(2, "10.100.100.100:8080")});
  table.row({"none", Texts{}});
  EXPECT_EQ(text_of(table),
            "NAME  BACKENDS\n"
            "many  10.100.100.100:8080, 10.100.100.100:8080, 10.100.100.100:8080 +6 more\n"
            "few   10.100.100.100:8080, 10.100.100.100:8080\n"
            "none  -\n");
  EXPECT_LE(widest_line(text_of(table)), 80U);
}

TEST(Table, WrapsTextsOnlyWhenListsAreAsShortAsCanBe) {
  Table table({{"NAME"}, {"BACKENDS"}, {"STATE"}});
  table.row({"production/" + std::string(50, 'n'), Texts(3, "10.100.100.100:8080"), "usable"});
  EXPECT_EQ(text_of(table),
            "NAME                                         BACKENDS                     STATE\n"
            "production/                                  10.100.100.100:8080 +2 more  usable\n"
            "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn\n"
            "nnnnnnn\n");
  EXPECT_LE(widest_line(text_of(table)), 80U);
}

TEST(Table, LinesGoAcrossTheColumns) {
  Table table({{""}, {""}});
  table.row({"a", "b"});
  table.line("word " + std::string(72, 'x') + " end", 4);
  EXPECT_EQ(text_of(table),
            "a  b\n"
            "    word\n"
            "      " +
                std::string(72, 'x') +
                "\n"
                "      end\n");
}

TEST(Table, CellsCannotSteerTheTerminal) {
  Table table({{""}});
  table.row({"\x1b[2Jgone\nnext"});
  EXPECT_EQ(text_of(table), "?[2Jgone next\n");
}

}  // namespace
}  // namespace topolb::cli
