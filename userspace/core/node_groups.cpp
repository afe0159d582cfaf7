// SPDX-License-Identifier: Apache-2.0
#include "core/node_groups.h"

#include <cstddef>
#include <string>
#include <utility>

#include "core/planner.h"
#include "core/topology_keys.h"

namespace topolb::core {
namespace {

/// Splits the nodes into classes, by one property after the other.
class Partition {
 public:
  explicit Partition(std::size_t nodes) : class_of_(nodes, 0) {}

  /// Nodes of one class with different marks come into different classes. `marks` are by node and
  /// below `mark_count`.
  void split(const std::vector<std::uint32_t>& marks, std::size_t mark_count) {
    constexpr std::uint32_t kNone = UINT32_MAX;
    std::vector<std::uint32_t> renamed(class_count_ * mark_count, kNone);
    std::uint32_t next = 0;
    for (std::size_t node = 0; node < class_of_.size(); ++node) {
      std::uint32_t& name = renamed[class_of_[node] * mark_count + marks[node]];
      if (name == kNone) name = next++;
      class_of_[node] = name;
    }
    class_count_ = next;
  }

  /// By first node: classes are numbered in the order in which nodes come into them.
  [[nodiscard]] std::vector<std::vector<std::uint32_t>> classes() const {
    std::vector<std::vector<std::uint32_t>> result(class_of_.empty() ? 0 : class_count_);
    for (std::uint32_t node = 0; node < class_of_.size(); ++node) {
      result[class_of_[node]].push_back(node);
    }
    return result;
  }

 private:
  std::vector<std::uint32_t> class_of_;
  std::size_t class_count_ = 1;
};

/// Gives what is added a mark of its own; all else has the mark 0.
struct Marks {
  explicit Marks(std::size_t size) : of(size, 0) {}
  void add(std::uint32_t index) {
    if (index < of.size() && of[index] == 0) of[index] = count++;
  }
  std::vector<std::uint32_t> of;
  std::uint32_t count = 1;
};

/// What of the nodes the plan of one Service can depend on.
class Splitter {
 public:
  Splitter(const ServiceEndpoints& endpoints, NodeTable& nodes)
      : endpoints_(endpoints), nodes_(nodes), partition_(nodes.size()) {}

  /// For the policy Local: nodes that have an endpoint stand alone.
  void by_own_endpoints() {
    Marks marks(nodes_.size());
    for_each_placement(
        [&](const Placement& placement) { marks.add(nodes_.find(placement.node_name)); });
    partition_.split(marks.of, marks.count);
  }

  /// For the policy Cluster: by the nodes and zones that endpoints are hinted for.
  void by_hints() {
    const LabelColumn& zones = nodes_.column(std::string(kZoneLabel));
    Marks names(nodes_.size());
    Marks values(zones.texts.size());
    for_each_placement([&](const Placement& placement) {
      for (const auto& hint : placement.node_hints) names.add(nodes_.find(hint));
      for (const auto& hint : placement.zone_hints) values.add(zones.number_of(hint));
    });
    partition_.split(names.of, names.count);
    by_values(zones, values);
  }

  /// By the label's value, as far as an endpoint's node has the same one; for the zone, the
  /// endpoint itself.
  void by_key(const std::string& key) {
    const LabelColumn& column = nodes_.column(key);
    Marks values(column.texts.size());
    for_each_placement([&](const Placement& placement) {
      const std::uint32_t node = nodes_.find(placement.node_name);
      if (node != NodeTable::kUnknown) values.add(column.of_node[node]);
      if (key == kZoneLabel) values.add(column.number_of(placement.zone));
    });
    by_values(column, values);
  }

  [[nodiscard]] std::vector<std::vector<std::uint32_t>> classes() const {
    return partition_.classes();
  }

 private:
  template <typename Visit>
  void for_each_placement(const Visit& visit) const {
    (void)endpoints_.any_placement([&](PoolId id) {
      visit(endpoints_.placement(id));
      return false;
    });
  }

  void by_values(const LabelColumn& column, Marks& values) {
    values.of[LabelColumn::kNoLabel] = 0;  // matches nothing
    std::vector<std::uint32_t> marks;
    marks.reserve(nodes_.size());
    for (const std::uint32_t value : column.of_node) marks.push_back(values.of[value]);
    partition_.split(marks, values.count);
  }

  const ServiceEndpoints& endpoints_;
  NodeTable& nodes_;
  Partition partition_;
};

std::vector<std::vector<std::uint32_t>> alike_nodes(const Service& service,
                                                    const TopologyKeys& keys,
                                                    const ServiceEndpoints& endpoints,
                                                    NodeTable& nodes) {
  Splitter splitter(endpoints, nodes);
  if (keys.valid()) {
    if (service.internal_local || service.external_local) splitter.by_own_endpoints();
    if (keys.keys.empty()) splitter.by_hints();
    for (const std::string& key : keys.keys) {
      if (key != kAnyTopology) splitter.by_key(key);
    }
  }
  return splitter.classes();
}

}  // namespace

std::vector<NodeGroup> plan_on_all_nodes(const Service& service, const ServiceEndpoints& endpoints,
                                         NodeTable& nodes) {
  const TopologyKeys keys = topology_keys_of(service);
  std::vector<NodeGroup> groups;
  for (auto& members : alike_nodes(service, keys, endpoints, nodes)) {
    const NodeView view = nodes.view(members.front());
    PlacementFacts facts;  // of that node
    auto plan = Planner(view, facts).plan(service, keys, endpoints);
    groups.push_back({std::move(members), std::move(plan)});
  }
  return groups;
}

}  // namespace topolb::core
