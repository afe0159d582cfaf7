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
  std::string text;  // of a string, or "<<"; else as JSON writes it

  [[nodiscard]] std::string json() const;
};

/// A scalar without quotes and without an explicit tag (`!!int`).
inline constexpr std::string_view kPlainTag = "?";
/// A quoted scalar without an explicit tag.
inline constexpr std::string_view kQuotedTag = "!";

/// None: the text is not what an explicit tag claims, or a number that JSON has no form for (.inf,
/// .nan).
std::optional<Scalar> resolve_scalar(std::string_view tag, std::string_view text);

}  // namespace topolb::kube
