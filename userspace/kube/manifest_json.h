// SPDX-License-Identifier: Apache-2.0
// Finds the documents of a text of JSON values, one after the other, and where the text breaks
// JSON's grammar, which simdjson does not tell. Pure: no I/O.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "util/result.h"

namespace topolb::kube {

struct JsonText {
  std::string_view text;  // into the text given
  std::size_t line = 1;   // where it begins
};

/// Documents stand next to each other or are separated by lines "---", as kubectl takes them.
/// Judges brackets, commas, colons and strings' ends; the inside of strings and numbers is left
/// to the parser. The error says where: "line 3 column 5: ...".
Result<std::vector<JsonText>> split_json(std::string_view text);

}  // namespace topolb::kube
