// SPDX-License-Identifier: Apache-2.0
// Which topology keys of a list an endpoint matches on this node (design.md 3.2). Private to core.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/plan.h"

namespace topolb::core {

/// Bit i: key i of the list matches. Valid lists have at most 16 keys.
using KeyMask = std::uint32_t;

/// Resolves this node's labels once and those of each backend node once. `node` and the endpoints
/// asked about must outlive it, and the Nodes must not change meanwhile.
class KeyMatcher {
 public:
  KeyMatcher(std::vector<std::string> keys, const NodeView& node);

  KeyMask matches(const Endpoint& endpoint);
  [[nodiscard]] const std::vector<std::string>& keys() const { return keys_; }

 private:
  struct NodeMatch {
    bool known = false;
    KeyMask mask = 0;
  };
  [[nodiscard]] NodeMatch match_node(const std::string& node_name) const;

  std::vector<std::string> keys_;
  const NodeView& node_;
  KeyMask any_mask_ = 0;
  /// This node's value of each key; null: it has no such label.
  std::vector<const std::string*> own_values_;
  std::unordered_map<std::string_view, NodeMatch> by_node_;
};

/// The value of a label on a node as far as topology keys see it: null without that label or
/// without Node object.
const std::string* label_of(const NodeView& node, const std::string& node_name,
                            std::string_view key);

}  // namespace topolb::core
