// SPDX-License-Identifier: Apache-2.0
#include "core/key_matcher.h"

namespace topolb::core {
namespace {

const std::string* find_label(const Labels* labels, std::string_view key) {
  if (labels == nullptr) return nullptr;
  const auto label = labels->find(key);
  return label == labels->end() ? nullptr : &label->second;
}

// An endpoint without node is on no known one.
const Labels* labels_of(const NodeView& node, const std::string& node_name) {
  return node_name.empty() ? nullptr : node.labels_of(node_name);
}

}  // namespace

const std::string* label_of(const NodeView& node, const std::string& node_name,
                            std::string_view key) {
  return find_label(labels_of(node, node_name), key);
}

KeyMatcher::KeyMatcher(std::vector<std::string> keys, const NodeView& node)
    : keys_(std::move(keys)), node_(node) {
  const Labels* own_labels = labels_of(node, node.node_name);
  own_values_.reserve(keys_.size());
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    own_values_.push_back(find_label(own_labels, keys_[i]));
    if (keys_[i] == kAnyTopology) any_mask_ |= KeyMask{1} << i;
  }
}

KeyMatcher::NodeMatch KeyMatcher::match_node(const std::string& node_name) const {
  const Labels* labels = labels_of(node_, node_name);
  NodeMatch match{labels != nullptr, any_mask_};
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    if (own_values_[i] == nullptr) continue;
    const std::string* value = find_label(labels, keys_[i]);
    if (value != nullptr && *value == *own_values_[i]) match.mask |= KeyMask{1} << i;
  }
  return match;
}

KeyMask KeyMatcher::matches(const Endpoint& endpoint) {
  auto cached = by_node_.find(endpoint.node_name);
  if (cached == by_node_.end()) {
    cached = by_node_.emplace(endpoint.node_name, match_node(endpoint.node_name)).first;
  }
  const NodeMatch& match = cached->second;
  if (match.known || endpoint.zone.empty()) return match.mask;
  // The Node object is unknown: the endpoint's own zone stands for that one label.
  KeyMask mask = match.mask;
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    if (own_values_[i] != nullptr && keys_[i] == kZoneLabel && *own_values_[i] == endpoint.zone) {
      mask |= KeyMask{1} << i;
    }
  }
  return mask;
}

bool matches_key(const Endpoint& endpoint, std::string_view key, const NodeView& node) {
  const std::vector<std::string> keys{std::string(key)};
  return KeyMatcher(keys, node).matches(endpoint) != 0;
}

}  // namespace topolb::core
