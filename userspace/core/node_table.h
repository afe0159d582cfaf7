// SPDX-License-Identifier: Apache-2.0
// The Nodes of a cluster by number, and their label values as numbers: many nodes are grouped and
// counted without comparing texts. Not thread-safe: it remembers what it was asked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/plan.h"

namespace topolb::core {

/// The values that one label has on the Nodes.
struct LabelColumn {
  static constexpr std::uint32_t kNoLabel = 0;

  std::vector<std::uint32_t> of_node;   // by node number; kNoLabel: it has no such label
  std::vector<std::string_view> texts;  // by value number; that of kNoLabel is ""
  std::unordered_map<std::string_view, std::uint32_t> numbers;

  /// kNoLabel: no Node has this value.
  [[nodiscard]] std::uint32_t number_of(std::string_view value) const;
};

class NodeTable {
 public:
  static constexpr std::uint32_t kUnknown = UINT32_MAX;

  /// The numbers are those of their order.
  explicit NodeTable(std::vector<Node> nodes);

  [[nodiscard]] std::size_t size() const { return nodes_.size(); }
  [[nodiscard]] const std::string& name(std::uint32_t node) const { return nodes_[node].name; }
  /// kUnknown: there is no such Node.
  [[nodiscard]] std::uint32_t find(std::string_view name) const;
  /// Stays where it is while the table lives.
  const LabelColumn& column(const std::string& key);
  /// As this node sees the cluster. Valid while the table lives.
  [[nodiscard]] NodeView view(std::uint32_t node) const;

 private:
  std::vector<Node> nodes_;
  std::unordered_map<std::string_view, std::uint32_t> numbers_;
  std::unordered_map<std::string, LabelColumn> columns_;
};

}  // namespace topolb::core
