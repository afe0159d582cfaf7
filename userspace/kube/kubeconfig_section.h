// SPDX-License-Identifier: Apache-2.0
// A mapping in a kubeconfig file, read field by field. Internal to kubeconfig.cpp: what is wrong
// is thrown as a FieldError, and caught there.
#pragma once

#include <simdjson.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace topolb::kube {

struct FieldError {
  std::string what;  // "users[u].user.token: must be a string"
};

[[noreturn]] void fail_field(const std::string& where, const std::string& what);

/// Valid while the parser of its document lives.
class Section {
 public:
  using Value = std::optional<simdjson::dom::element>;  // none: absent, or null

  /// `where`: its place in the file, for messages.
  Section(Value value, std::string where);

  [[nodiscard]] std::string place(const std::string& field) const {
    return where_.empty() ? field : where_ + "." + field;
  }
  [[nodiscard]] Value child(const std::string& field) const;
  [[nodiscard]] bool has(const std::string& field) const { return child(field).has_value(); }
  /// "" if it is not there.
  [[nodiscard]] std::string text(const std::string& field) const;
  [[nodiscard]] std::string required(const std::string& field) const;
  [[nodiscard]] bool flag(const std::string& field) const;
  [[nodiscard]] std::vector<simdjson::dom::element> list(const std::string& field) const;
  [[nodiscard]] std::vector<std::string> texts(const std::string& field) const;
  [[nodiscard]] Section section(const std::string& field) const {
    return {child(field), place(field)};
  }
  /// `body` of the entry of list `field` that is called `name`: clusters[prod].cluster. None:
  /// there is no such entry.
  [[nodiscard]] std::optional<Section> named(const std::string& field, const std::string& name,
                                             const std::string& body) const;

 private:
  std::optional<simdjson::dom::object> object_;
  std::string where_;
};

}  // namespace topolb::kube
