// SPDX-License-Identifier: Apache-2.0
// Which topology keys of a list an endpoint matches on this node (design.md 3.2). Private to core.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/plan.h"

namespace topolb::core {

/// Bit i: key i of the list matches. Valid lists have at most 16 keys.
using KeyMask = std::uint32_t;

/// Resolves this node's labels once and each placement once. `keys` and `node` must outlive it; the
/// Nodes must not change meanwhile, and all endpoints must be of one cluster state.
class KeyMatcher {
 public:
  KeyMatcher(const std::vector<std::string>& keys, const NodeView& node);

  KeyMask matches(const PortEndpoint& endpoint) {
    const PoolId id = endpoint.placement_id;
    if (id >= by_placement_.size()) by_placement_.resize(id + id / 2 + 1, kNotMatchedYet);
    if (by_placement_[id] == kNotMatchedYet) by_placement_[id] = match(*endpoint.placement);
    return by_placement_[id];
  }
  [[nodiscard]] const std::vector<std::string>& keys() const { return keys_; }

 private:
  static constexpr KeyMask kNotMatchedYet = ~KeyMask{0};

  [[nodiscard]] KeyMask match(const Placement& placement) const;

  const std::vector<std::string>& keys_;
  const NodeView& node_;
  /// This node's value of each key; null: it has no such label.
  std::vector<const std::string*> own_values_;
  std::vector<KeyMask> by_placement_;  // by id
};

/// Whether there is a Node object for where the endpoint is.
bool is_on_known_node(const Placement& placement, const NodeView& node);

/// The value of a label on a node as far as topology keys see it: null without that label or
/// without Node object.
const std::string* label_of(const NodeView& node, const std::string& node_name,
                            std::string_view key);

}  // namespace topolb::core
