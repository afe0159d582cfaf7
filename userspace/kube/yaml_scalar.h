// SPDX-License-Identifier: Apache-2.0
// The type of a YAML scalar. Internal to the YAML reader.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace topolb::kube {

enum class ScalarType : std::uint8_t { Null, Boolean, Number, String, Merge };

struct Scalar {
  ScalarType type = ScalarType::String;
  std::string json;  // the JSON text of the value
  std::string key;   // its text as a mapping key, unquoted; "" for null
};

/// `tag` as yaml-cpp reports it: "?" plain, "!" quoted, else the full tag. None: the text is not
/// what an explicit tag (`!!int`) claims, or a number that JSON has no form for (.inf, .nan).
std::optional<Scalar> resolve_scalar(std::string_view tag, std::string_view text);

}  // namespace topolb::kube
