// SPDX-License-Identifier: Apache-2.0
// Hashing of object keys, so that a look-up needs no copy of the two strings. Private to core.
#pragma once

#include <cstddef>
#include <functional>
#include <string_view>

#include "core/model.h"

namespace topolb::core {

struct ObjectKeyView {
  std::string_view namespace_name;
  std::string_view name;

  ObjectKeyView(std::string_view namespace_text, std::string_view name_text)
      : namespace_name(namespace_text), name(name_text) {}
  ObjectKeyView(const ObjectKey& key) : namespace_name(key.namespace_name), name(key.name) {}

  bool operator==(const ObjectKeyView&) const = default;
};

/// Transparent: for containers of ObjectKey.
struct ObjectKeyHash {
  using is_transparent = void;
  std::size_t operator()(const ObjectKeyView& key) const noexcept {
    return std::hash<std::string_view>{}(key.namespace_name) * 31 +
           std::hash<std::string_view>{}(key.name);
  }
};

struct ObjectKeyEqual {
  using is_transparent = void;
  bool operator()(const ObjectKeyView& a, const ObjectKeyView& b) const noexcept { return a == b; }
};

}  // namespace topolb::core
