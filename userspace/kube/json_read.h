// SPDX-License-Identifier: Apache-2.0
// Fields of JSON answers that may be missing.
#pragma once

#include <simdjson.h>

#include <string>

namespace topolb::kube {

/// "" where there is no text.
inline std::string text_or_empty(const simdjson::simdjson_result<simdjson::dom::element>& value) {
  std::string_view text;
  if (value.get_string().get(text) != simdjson::SUCCESS) return {};
  return std::string(text);
}

/// 0 where there is no such number.
inline unsigned number_or_zero(const simdjson::simdjson_result<simdjson::dom::element>& value) {
  std::uint64_t number = 0;
  if (value.get_uint64().get(number) != simdjson::SUCCESS) return 0;
  return static_cast<unsigned>(number);
}

}  // namespace topolb::kube
