// SPDX-License-Identifier: Apache-2.0
// The labels of all Nodes. Private to core.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/model.h"
#include "core/pools.h"

namespace topolb::core {

class KnownNodes {
 public:
  /// `pools` must outlive it.
  explicit KnownNodes(Pools& pools) : pools_(&pools) {}

  /// Both return the labels whose value or presence is another now than before.
  std::vector<std::string> put(const Node& node);
  std::vector<std::string> remove(const std::string& name);

  /// Sorted by name.
  [[nodiscard]] std::vector<Node> all() const;
  [[nodiscard]] bool contains(const std::string& name) const { return nodes_.contains(name); }
  /// Null: no such Node, or it has no such label. Valid until that changes.
  [[nodiscard]] const std::string* label(const std::string& name, const std::string& key) const;

 private:
  using StoredLabels = std::vector<std::pair<PoolId, PoolId>>;  // key, value; by key's id

  [[nodiscard]] StoredLabels stored(const Labels& labels);
  void release(const StoredLabels& labels);
  [[nodiscard]] std::vector<std::string> changed(const StoredLabels& before,
                                                 const StoredLabels& after) const;

  Pools* pools_;
  std::unordered_map<std::string, StoredLabels> nodes_;
};

}  // namespace topolb::core
