// SPDX-License-Identifier: Apache-2.0
// What the log says of the way to the API server: when it breaks, why, and when it is whole again.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "agent/source.h"

namespace topolb::agent {

struct News {
  bool is_bad = false;
  std::string text;
  bool operator==(const News&) const = default;
};

class SourceNews {
 public:
  /// What has changed since the last call: a line for each new error, with all that it befell, and
  /// one when there is none any more.
  std::vector<News> of(const std::vector<SourceAge>& ages);

 private:
  std::map<std::string, std::string> kinds_by_error_;  // as of the last call
};

}  // namespace topolb::agent
