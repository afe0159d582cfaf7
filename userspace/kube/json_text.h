// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace topolb::kube {

/// A JSON string with its quotes.
std::string json_text(std::string_view text);

}  // namespace topolb::kube
