// SPDX-License-Identifier: Apache-2.0
#include "core/known_nodes.h"

#include <algorithm>
#include <iterator>

namespace topolb::core {

std::vector<std::string> KnownNodes::put(const Node& node) {
  const auto [entry, is_new] = nodes_.try_emplace(node.name);
  StoredLabels after = stored(node.labels);
  auto result = changed(entry->second, after);
  // endpoint.zone stands for this label while the Node object is unknown.
  if (is_new) result.emplace_back(kZoneLabel);
  release(entry->second);
  entry->second = std::move(after);
  return result;
}

std::vector<std::string> KnownNodes::remove(const std::string& name) {
  const auto entry = nodes_.find(name);
  if (entry == nodes_.end()) return {};
  auto result = changed(entry->second, {});
  result.emplace_back(kZoneLabel);
  release(entry->second);
  nodes_.erase(entry);
  return result;
}

std::vector<Node> KnownNodes::all() const {
  std::vector<Node> nodes;
  nodes.reserve(nodes_.size());
  for (const auto& [name, labels] : nodes_) {
    Node& node = nodes.emplace_back(Node{name, {}});
    for (const auto& [key, value] : labels) {
      node.labels.emplace(pools_->label_texts[key], pools_->label_texts[value]);
    }
  }
  std::sort(nodes.begin(), nodes.end(),
            [](const Node& a, const Node& b) { return a.name < b.name; });
  return nodes;
}

const std::string* KnownNodes::label(const std::string& name, const std::string& key) const {
  const auto node = nodes_.find(name);
  if (node == nodes_.end()) return nullptr;
  const auto key_id = pools_->label_texts.find(key);
  if (!key_id) return nullptr;
  const StoredLabels& labels = node->second;
  const auto label = std::lower_bound(labels.begin(), labels.end(), std::pair{*key_id, PoolId{0}});
  if (label == labels.end() || label->first != *key_id) return nullptr;
  return &pools_->label_texts[label->second];
}

KnownNodes::StoredLabels KnownNodes::stored(const Labels& labels) {
  StoredLabels result;
  result.reserve(labels.size());
  for (const auto& [key, value] : labels) {
    result.emplace_back(pools_->label_texts.acquire(key), pools_->label_texts.acquire(value));
  }
  std::sort(result.begin(), result.end());
  return result;
}

void KnownNodes::release(const StoredLabels& labels) {
  for (const auto& [key, value] : labels) {
    pools_->label_texts.release(key);
    pools_->label_texts.release(value);
  }
}

std::vector<std::string> KnownNodes::changed(const StoredLabels& before,
                                             const StoredLabels& after) const {
  StoredLabels different;
  std::set_symmetric_difference(before.begin(), before.end(), after.begin(), after.end(),
                                std::back_inserter(different));
  std::vector<std::string> keys;
  for (const auto& [key, value] : different) {
    const std::string& text = pools_->label_texts[key];
    // A new value of a key is two differences, next to each other.
    if (keys.empty() || keys.back() != text) keys.push_back(text);
  }
  return keys;
}

}  // namespace topolb::core
