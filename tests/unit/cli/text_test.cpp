// SPDX-License-Identifier: Apache-2.0
#include "cli/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace topolb::cli {
namespace {

using testing::ElementsAre;

TEST(Text, WidthIsInCharacters) {
  EXPECT_EQ(display_width(""), 0U);
  EXPECT_EQ(display_width("abc"), 3U);
  EXPECT_EQ(display_width("zürich €"), 8U);
}

// What a name or a message holds must not reach the terminal as a command.
TEST(Text, PrintableTakesTerminalControlAway) {
  EXPECT_EQ(printable("plain äö"), "plain äö");
  EXPECT_EQ(printable("two\nlines\tand tab"), "two lines and tab");
  EXPECT_EQ(printable("\x1b[31mred\x07"), "?[31mred?");
  EXPECT_EQ(printable("c1 \xc2\x9b"
                      "31m"),
            "c1 ?31m");
  EXPECT_EQ(printable("bad \xff utf-8"), "bad ? utf-8");
}

TEST(Text, WrapBreaksAtBlanksThenAtSeparatorsThenAnywhere) {
  EXPECT_THAT(wrap("", 5), ElementsAre(""));
  EXPECT_THAT(wrap("12345", 5), ElementsAre("12345"));
  EXPECT_THAT(wrap("one two three", 7), ElementsAre("one two", "three"));
  EXPECT_THAT(wrap("one  two", 4), ElementsAre("one", "two"));
  EXPECT_THAT(wrap("kube-system/kube-dns", 18), ElementsAre("kube-system/", "kube-dns"));
  EXPECT_THAT(wrap("some-long-name", 10), ElementsAre("some-long-", "name"));
  EXPECT_THAT(wrap("abcdefgh", 3), ElementsAre("abc", "def", "gh"));
  EXPECT_THAT(wrap("äöüäöü", 3), ElementsAre("äöü", "äöü"));
}

TEST(Text, CountedKnowsTheSingular) {
  EXPECT_EQ(counted(0, "problem"), "0 problems");
  EXPECT_EQ(counted(1, "problem"), "1 problem");
  EXPECT_EQ(counted(2, "problem"), "2 problems");
}

TEST(Text, ListsAreShortenedToTheWidth) {
  const std::vector<std::string> list{"10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"};
  EXPECT_EQ(shortened({}, 10), "-");
  EXPECT_EQ(shortened({"10.0.0.1:80"}, 3), "10.0.0.1:80");
  EXPECT_EQ(shortened(list, 100), "10.0.0.1:80, 10.0.0.2:80, 10.0.0.3:80");
  EXPECT_EQ(shortened(list, 32), "10.0.0.1:80, 10.0.0.2:80 +1 more");
  EXPECT_EQ(shortened(list, 31), "10.0.0.1:80 +2 more");
  EXPECT_EQ(shortened(list, 1), "10.0.0.1:80 +2 more");
}

TEST(Text, BytesHaveBinaryUnits) {
  EXPECT_EQ(bytes_text(0), "0 B");
  EXPECT_EQ(bytes_text(1023), "1023 B");
  EXPECT_EQ(bytes_text(1024), "1.0 KiB");
  EXPECT_EQ(bytes_text(1536 * 1024), "1.5 MiB");
  EXPECT_EQ(bytes_text(std::numeric_limits<std::uint64_t>::max()), "16777216.0 TiB");
}

TEST(Text, DurationsAreInTheLargestUnitOfWhichThereAreTwo) {
  EXPECT_EQ(duration_text(0), "0 s");
  EXPECT_EQ(duration_text(119), "119 s");
  EXPECT_EQ(duration_text(120), "2 min");
  EXPECT_EQ(duration_text(7199), "119 min");
  EXPECT_EQ(duration_text(7200), "2 h");
  EXPECT_EQ(duration_text(48 * 3600), "2 d");
}

TEST(Text, TimesAreInUtc) {
  EXPECT_EQ(time_text(0), "never");
  EXPECT_EQ(time_text(1'767'225'600), "2026-01-01 00:00:00 UTC");
}

TEST(Text, PercentSaysMoreThanNothing) {
  EXPECT_EQ(percent_text(0, 65536), "0 %");
  EXPECT_EQ(percent_text(1, 65536), "<1 %");
  EXPECT_EQ(percent_text(65535, 65536), "99 %");
  EXPECT_EQ(percent_text(65536, 65536), "100 %");
  EXPECT_EQ(percent_text(0, 0), "0 %");
}

// Only nothing is 0 %, and only all of it 100 %, but for what adding up parts leaves.
TEST(Text, SharesSayMoreThanNothing) {
  EXPECT_EQ(share_text(0), "0 %");
  EXPECT_EQ(share_text(1e-17), "0 %");
  EXPECT_EQ(share_text(0.0001), "<1 %");
  EXPECT_EQ(share_text(0.375), "38 %");
  EXPECT_EQ(share_text(0.9999), ">99 %");
  EXPECT_EQ(share_text(0.1 + 0.2 + 0.3 + 0.4), "100 %");
}

}  // namespace
}  // namespace topolb::cli
