// SPDX-License-Identifier: Apache-2.0
#include "agent/source_news.h"

#include <fmt/format.h>

namespace topolb::agent {

std::vector<News> SourceNews::of(const std::vector<SourceAge>& ages) {
  std::map<std::string, std::string> kinds_by_error;
  for (const auto& age : ages) {
    if (age.error.empty()) continue;
    auto& kinds = kinds_by_error[age.error];
    kinds += (kinds.empty() ? "" : ", ") + age.kind;
  }
  std::vector<News> news;
  for (const auto& [error, kinds] : kinds_by_error) {
    if (kinds_by_error_.contains(error)) continue;
    news.push_back({true, fmt::format("{}: {}; trying again", kinds, error)});
  }
  if (kinds_by_error.empty() && !kinds_by_error_.empty()) {
    news.push_back({false, "the API server is heard of again"});
  }
  kinds_by_error_ = std::move(kinds_by_error);
  return news;
}

}  // namespace topolb::agent
