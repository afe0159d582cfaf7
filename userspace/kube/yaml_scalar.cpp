// SPDX-License-Identifier: Apache-2.0
#include "kube/yaml_scalar.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "kube/json_text.h"

namespace topolb::kube {
namespace {

constexpr std::string_view kTagPrefix = "tag:yaml.org,2002:";
// Beyond this a double has no digits after the point, and its digits may not fit an integer.
constexpr double kMaxFixedNotation = 1e15;
constexpr double kMinFixedNotation = 1e-6;

template <std::size_t N>
bool is_one_of(std::string_view text, const std::array<std::string_view, N>& words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

std::optional<bool> parse_boolean(std::string_view text) {
  constexpr std::array<std::string_view, 11> kTrue{"y",    "Y",    "yes", "Yes", "YES", "true",
                                                   "True", "TRUE", "on",  "On",  "ON"};
  constexpr std::array<std::string_view, 11> kFalse{"n",     "N",     "no",  "No",  "NO", "false",
                                                    "False", "FALSE", "off", "Off", "OFF"};
  if (is_one_of(text, kTrue)) return true;
  if (is_one_of(text, kFalse)) return false;
  return std::nullopt;
}

bool is_null(std::string_view text) {
  constexpr std::array<std::string_view, 5> kNull{"", "~", "null", "Null", "NULL"};
  return is_one_of(text, kNull);
}

bool is_non_finite(std::string_view text) {
  if (text.starts_with('+') || text.starts_with('-')) text.remove_prefix(1);
  constexpr std::array<std::string_view, 6> kWords{".inf", ".Inf", ".INF", ".nan", ".NaN", ".NAN"};
  return is_one_of(text, kWords);
}

// 0x, 0b, 0o and a bare leading 0 give the base.
int take_base(std::string_view& digits) {
  if (digits.size() < 2 || digits[0] != '0') return 10;
  const char letter = static_cast<char>(digits[1] | 0x20);
  const int base = letter == 'x' ? 16 : letter == 'b' ? 2 : letter == 'o' ? 8 : 0;
  digits.remove_prefix(base == 0 ? 1 : 2);
  return base == 0 ? 8 : base;
}

// As decimal digits; none when it is no integer of 64 bits.
std::optional<std::string> parse_integer(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  const int base = take_base(text);
  std::uint64_t magnitude = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, failed] = std::from_chars(text.data(), end, magnitude, base);
  if (text.empty() || failed != std::errc{} || rest != end) return std::nullopt;
  constexpr auto kMaxNegative = std::uint64_t{1} << 63;
  if (negative && magnitude > kMaxNegative) return std::nullopt;
  return fmt::format("{}{}", negative && magnitude != 0 ? "-" : "", magnitude);
}

std::optional<double> parse_float(std::string_view text) {
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  // from_chars knows more words than YAML does: "inf", "nan".
  const auto digits = text.substr(text.starts_with('-') ? 1 : 0);
  if (digits.empty() || digits.find_first_not_of("0123456789.eE+-") != std::string_view::npos ||
      digits[0] == 'e' || digits[0] == 'E') {
    return std::nullopt;
  }
  double number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, failed] = std::from_chars(text.data(), end, number);
  if (failed != std::errc{} || rest != end) return std::nullopt;
  return number;
}

std::string float_to_json(double number) {
  const double size = std::abs(number);
  const bool fixed = size == 0 || (size >= kMinFixedNotation && size < kMaxFixedNotation);
  std::array<char, 64> text{};
  const auto [end, failed] =
      std::to_chars(text.data(), text.data() + text.size(), number,
                    fixed ? std::chars_format::fixed : std::chars_format::scientific);
  return {text.data(), failed == std::errc{} ? end : text.data()};
}

bool begins_with_one_of(std::string_view text, std::string_view characters) {
  return !text.empty() && characters.find(text[0]) != std::string_view::npos;
}

Scalar string_scalar(std::string_view text) { return {ScalarType::String, std::string(text)}; }

// None: .inf or .nan.
std::optional<Scalar> resolve_number(std::string_view text, bool as_float) {
  if (is_non_finite(text)) return std::nullopt;
  std::string plain(text);
  // "1_000" is a number, but ".5_0" is none.
  if (text[0] != '.') plain.erase(std::remove(plain.begin(), plain.end(), '_'), plain.end());
  if (const auto integer = parse_integer(plain); integer && !as_float) {
    return Scalar{ScalarType::Number, *integer};
  }
  if (const auto number = parse_float(plain)) {
    return Scalar{ScalarType::Number, float_to_json(*number)};
  }
  return string_scalar(text);
}

// None: .inf or .nan.
std::optional<Scalar> resolve_plain(std::string_view text, bool as_float) {
  // Nearly all scalars are strings, and their first character tells.
  if (begins_with_one_of(text, "+-.0123456789")) return resolve_number(text, as_float);
  if (!text.empty() && !begins_with_one_of(text, "yYnNtTfFoO~<")) return string_scalar(text);
  if (is_null(text)) return Scalar{ScalarType::Null, "null"};
  if (text == "<<") return Scalar{ScalarType::Merge, std::string(text)};
  if (const auto boolean = parse_boolean(text)) {
    return Scalar{ScalarType::Boolean, *boolean ? "true" : "false"};
  }
  return string_scalar(text);
}

}  // namespace

std::string Scalar::json() const {
  return type == ScalarType::String || type == ScalarType::Merge ? json_text(text) : text;
}

std::optional<Scalar> resolve_scalar(std::string_view tag, std::string_view text) {
  if (tag == kPlainTag) return resolve_plain(text, false);
  if (!tag.starts_with(kTagPrefix)) return string_scalar(text);
  const std::string_view type = tag.substr(kTagPrefix.size());
  const auto resolved = [&](ScalarType expected) -> std::optional<Scalar> {
    auto scalar = resolve_plain(text, type == "float");
    if (!scalar || scalar->type != expected) return std::nullopt;
    return scalar;
  };
  if (type == "null") return resolved(ScalarType::Null);
  if (type == "bool") return resolved(ScalarType::Boolean);
  if (type == "float") return resolved(ScalarType::Number);
  if (type == "int") {
    auto scalar = resolved(ScalarType::Number);
    const bool integral =
        scalar && scalar->text.find_first_not_of("-0123456789") == std::string::npos;
    return integral ? scalar : std::nullopt;
  }
  if (type == "merge") return resolved(ScalarType::Merge);
  return string_scalar(text);
}

}  // namespace topolb::kube
