// SPDX-License-Identifier: Apache-2.0
// JSON out: a small value type, and a document that is written element by element, so that a plan
// of a large cluster never stands in memory as JSON. Keys keep the order they are given in.
#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace topolb::cli {

class Json {
 public:
  using Array = std::vector<Json>;
  using Object = std::vector<std::pair<std::string, Json>>;

  Json() = default;  // null
  Json(bool value) : value_(value) {}
  Json(std::uint64_t value) : value_(value) {}
  Json(std::uint32_t value) : value_(std::uint64_t{value}) {}
  Json(std::uint16_t value) : value_(std::uint64_t{value}) {}
  /// Shown with six significant digits.
  Json(double value) : value_(value) {}
  Json(std::string value) : value_(std::move(value)) {}
  Json(std::string_view value) : value_(std::string(value)) {}
  Json(const char* value) : value_(std::string(value)) {}
  Json(Array value) : value_(std::move(value)) {}
  Json(Object value) : value_(std::move(value)) {}
  explicit Json(const std::vector<std::string>& texts)
      : value_(Array(texts.begin(), texts.end())) {}

  /// The held value, or null if it is another.
  template <typename T>
  [[nodiscard]] const T* get() const {
    return std::get_if<T>(&value_);
  }
  [[nodiscard]] bool is_null() const { return value_.index() == 0; }

  /// On one line.
  void write(std::ostream& out) const;

 private:
  std::variant<std::monostate, bool, std::uint64_t, double, std::string, Array, Object> value_;
};

/// With quotes. Control characters are escaped, bytes that are no UTF-8 become U+FFFD.
void write_json_string(std::ostream& out, std::string_view text);

/// An object with one member a line, and one element a line in the lists among its members. The
/// destructor closes it.
class JsonDocument {
 public:
  explicit JsonDocument(std::ostream& out) : out_(out) {}
  JsonDocument(const JsonDocument&) = delete;
  JsonDocument& operator=(const JsonDocument&) = delete;
  ~JsonDocument();

  void member(std::string_view key, const Json& value);

  /// `to_json(element)` makes each element.
  template <typename Range, typename ToJson>
  void list(std::string_view key, const Range& range, const ToJson& to_json) {
    begin_member(key);
    out_ << '[';
    const char* separator = "\n  ";
    for (const auto& element : range) {
      out_ << separator;
      Json(to_json(element)).write(out_);
      separator = ",\n  ";
    }
    out_ << ']';
  }

 private:
  void begin_member(std::string_view key);

  std::ostream& out_;
  bool empty_ = true;
};

}  // namespace topolb::cli
