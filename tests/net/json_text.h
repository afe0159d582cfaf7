// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <simdjson.h>

#include <string>
#include <vector>

namespace topolb::test {

/// A JSON text, read by JSON pointers: "/services/0/name". Throws simdjson_error when the text is
/// no JSON, or has no such value, or one of another type.
class JsonText {
 public:
  explicit JsonText(const std::string& text) : root_(parser_.parse(text)) {}

  [[nodiscard]] simdjson::dom::element at(const std::string& pointer) const {
    return root_.at_pointer(pointer);
  }
  [[nodiscard]] bool has(const std::string& pointer) const {
    return root_.at_pointer(pointer).error() == simdjson::SUCCESS;
  }
  [[nodiscard]] std::string text(const std::string& pointer) const {
    return std::string(std::string_view(at(pointer)));
  }
  [[nodiscard]] std::int64_t number(const std::string& pointer) const { return at(pointer); }
  [[nodiscard]] bool flag(const std::string& pointer) const { return at(pointer); }
  [[nodiscard]] std::size_t size(const std::string& pointer) const {
    return simdjson::dom::array(at(pointer)).size();
  }
  /// One text member of each element of a list.
  [[nodiscard]] std::vector<std::string> texts(const std::string& list,
                                               const std::string& member) const {
    std::vector<std::string> found;
    for (const auto element : simdjson::dom::array(at(list))) {
      found.emplace_back(std::string_view(element[member]));
    }
    return found;
  }

 private:
  simdjson::dom::parser parser_;
  simdjson::dom::element root_;
};

}  // namespace topolb::test
