// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace topolb::kube {

/// RFC 4648, section 4; line breaks and blanks between are let through, as YAML folds them in.
/// None: a character or a length that cannot be.
std::optional<std::string> base64_decode(std::string_view text);
/// Without line breaks.
std::string base64_encode(std::string_view bytes);

}  // namespace topolb::kube
