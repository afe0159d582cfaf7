// SPDX-License-Identifier: Apache-2.0
#include "core/key_matcher.h"

namespace topolb::core {

bool is_on_known_node(const Placement& placement, const NodeView& node) {
  return !placement.node_name.empty() && node.is_known(placement.node_name);
}

const std::string* label_of(const NodeView& node, const std::string& node_name,
                            std::string_view key) {
  return node_name.empty() ? nullptr : node.label(node_name, key);
}

void KeyMatcher::find_own_values() {
  own_values_.reserve(keys_.size());
  for (const std::string& key : keys_) {
    own_values_.push_back(label_of(node_, node_.node_name, key));
  }
}

KeyMask KeyMatcher::match(const Placement& placement) {
  if (own_values_.empty()) find_own_values();
  // While the Node object is unknown, the endpoint's own zone stands for that one label.
  const bool by_own_zone = !placement.zone.empty() && !is_on_known_node(placement, node_);
  KeyMask mask = 0;
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    bool matches = keys_[i] == kAnyTopology;
    if (own_values_[i] != nullptr && !matches) {
      const std::string* value = by_own_zone && keys_[i] == kZoneLabel
                                     ? &placement.zone
                                     : label_of(node_, placement.node_name, keys_[i]);
      matches = value != nullptr && *value == *own_values_[i];
    }
    if (matches) mask |= KeyMask{1} << i;
  }
  return mask;
}

}  // namespace topolb::core
