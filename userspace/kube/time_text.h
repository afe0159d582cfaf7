// SPDX-License-Identifier: Apache-2.0
// Times as the API writes them. Pure.
#pragma once

#include <chrono>
#include <optional>
#include <string>

namespace topolb::kube {

/// RFC 3339, "2026-11-21T10:00:00.25Z". None: it is none.
std::optional<std::chrono::system_clock::time_point> parse_time(const std::string& text);

}  // namespace topolb::kube
