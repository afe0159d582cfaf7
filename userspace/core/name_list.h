// SPDX-License-Identifier: Apache-2.0
// Lists of names as objects carry them: short, in no order.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace topolb::core {

[[nodiscard]] inline bool has_name(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace topolb::core
