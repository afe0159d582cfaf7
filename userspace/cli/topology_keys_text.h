// SPDX-License-Identifier: Apache-2.0
// Topology keys as a user writes them on the command line, and what is told about them.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "util/result.h"

namespace topolb::cli {

/// The arguments KEY...: one key each, or several as the annotation has them ("a, b", ["a"]).
/// Error: one line that says which rule is broken and what to write instead. `files` are the names
/// in the working directory: what a shell makes of a star without quotes.
Result<std::vector<std::string>> parse_key_arguments(const std::vector<std::string>& arguments,
                                                     const std::vector<std::string>& files);

/// The names that a shell puts in place of a star here.
std::vector<std::string> visible_files();

/// "a, b"; "none".
std::string keys_text(const std::vector<std::string>& keys);

/// For a key that no Node has: a well-known one that may have been meant; "": none.
std::string_view likely_key(std::string_view key);

}  // namespace topolb::cli
