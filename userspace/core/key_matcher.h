// SPDX-License-Identifier: Apache-2.0
// Which topology keys of a list an endpoint matches on this node (design.md 3.2). Private to core.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/placement_facts.h"
#include "core/plan.h"

namespace topolb::core {

/// Resolves this node's labels when it meets a placement that nothing is known of, and that once.
/// `keys`, `node` and `masks`, which holds what is known of these keys and gets what it finds out,
/// must outlive it; the Nodes must not change meanwhile, and all endpoints must be of one cluster
/// state.
class KeyMatcher {
 public:
  KeyMatcher(const std::vector<std::string>& keys, const NodeView& node, KeyMasks& masks)
      : keys_(keys), node_(node), masks_(masks) {}

  KeyMask matches(const PortEndpoint& endpoint) {
    const PoolId id = endpoint.placement_id;
    if (id >= masks_.size()) masks_.resize(id + id / 2 + 1, kNotMatchedYet);
    if (masks_[id] == kNotMatchedYet) masks_[id] = match(*endpoint.placement);
    return masks_[id];
  }
  [[nodiscard]] const std::vector<std::string>& keys() const { return keys_; }

 private:
  void find_own_values();
  [[nodiscard]] KeyMask match(const Placement& placement);

  const std::vector<std::string>& keys_;
  const NodeView& node_;
  KeyMasks& masks_;
  /// This node's value of each key; null: it has no such label. Empty until they are needed.
  std::vector<const std::string*> own_values_;
};

/// Whether there is a Node object for where the endpoint is.
bool is_on_known_node(const Placement& placement, const NodeView& node);

/// The value of a label on a node as far as topology keys see it: null without that label or
/// without Node object.
const std::string* label_of(const NodeView& node, const std::string& node_name,
                            std::string_view key);

}  // namespace topolb::core
