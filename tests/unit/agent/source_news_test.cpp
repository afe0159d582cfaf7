// SPDX-License-Identifier: Apache-2.0
#include "agent/source_news.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace topolb::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

SourceAge age(const std::string& kind, const std::string& error = "") {
  return {.kind = kind, .seconds = 1, .error = error};
}

TEST(SourceNews, AnErrorIsSaidOnce) {
  SourceNews news;
  EXPECT_THAT(news.of({age("Service"), age("Node")}), IsEmpty());
  const std::vector<SourceAge> lost{age("Service", "lost"), age("Node", "lost")};
  EXPECT_THAT(news.of(lost), ElementsAre(News{true, "Service, Node: lost; trying again"}));
  EXPECT_THAT(news.of(lost), IsEmpty());
  EXPECT_THAT(news.of({age("Service"), age("Node", "lost")}), IsEmpty());
  EXPECT_THAT(news.of({age("Service", "denied"), age("Node", "lost")}),
              ElementsAre(News{true, "Service: denied; trying again"}));
}

TEST(SourceNews, TheEndOfAllErrorsIsSaid) {
  SourceNews news;
  news.of({age("Service", "lost"), age("Node", "lost")});
  EXPECT_THAT(news.of({age("Service"), age("Node", "lost")}), IsEmpty());
  EXPECT_THAT(news.of({age("Service"), age("Node")}),
              ElementsAre(News{false, "the API server is heard of again"}));
  EXPECT_THAT(news.of({age("Service"), age("Node")}), IsEmpty());
}

}  // namespace
}  // namespace topolb::agent
