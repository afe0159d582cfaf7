// SPDX-License-Identifier: Apache-2.0
#include "core/node_table.h"

#include <utility>

namespace topolb::core {

std::uint32_t LabelColumn::number_of(std::string_view value) const {
  const auto found = numbers.find(value);
  return found == numbers.end() ? kNoLabel : found->second;
}

NodeTable::NodeTable(std::vector<Node> nodes) : nodes_(std::move(nodes)) {
  numbers_.reserve(nodes_.size());
  for (std::uint32_t i = 0; i < nodes_.size(); ++i) numbers_.emplace(nodes_[i].name, i);
}

std::uint32_t NodeTable::find(std::string_view name) const {
  const auto found = numbers_.find(name);
  return found == numbers_.end() ? kUnknown : found->second;
}

const LabelColumn& NodeTable::column(const std::string& key) {
  const auto [entry, is_new] = columns_.try_emplace(key);
  LabelColumn& column = entry->second;
  if (!is_new) return column;
  column.texts.emplace_back();
  column.of_node.reserve(nodes_.size());
  for (const Node& node : nodes_) {
    std::uint32_t number = LabelColumn::kNoLabel;
    if (const auto label = node.labels.find(key); label != node.labels.end()) {
      const auto next = static_cast<std::uint32_t>(column.texts.size());
      const auto [known, is_first] = column.numbers.try_emplace(label->second, next);
      if (is_first) column.texts.emplace_back(label->second);
      number = known->second;
    }
    column.of_node.push_back(number);
  }
  return column;
}

NodeView NodeTable::view(std::uint32_t node) const {
  return {nodes_[node].name, [this](const std::string& name) { return find(name) != kUnknown; },
          [this](const std::string& name, std::string_view key) -> const std::string* {
            const std::uint32_t number = find(name);
            if (number == kUnknown) return nullptr;
            const Labels& labels = nodes_[number].labels;
            const auto label = labels.find(key);
            return label == labels.end() ? nullptr : &label->second;
          }};
}

}  // namespace topolb::core
