// SPDX-License-Identifier: Apache-2.0
// moves_on_all_nodes(): where the nodes' traffic goes before and after a change of a Service.
#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

#include "core/outcomes.h"
#include "core/traffic_spread.h"

namespace topolb::core {
namespace {

/// Of a node's traffic, what goes elsewhere: each backend keeps the smaller of its two shares.
double moved_share(const Outcome& before, const Outcome& after) {
  if (before.backends.empty() && after.backends.empty()) return 0;
  std::vector<SocketAddress> both;
  std::ranges::set_intersection(before.backends, after.backends, std::back_inserter(both));
  const auto larger = std::max(before.backends.size(), after.backends.size());
  return 1 - static_cast<double>(both.size()) / static_cast<double>(larger);
}

std::vector<std::size_t> outcome_by_node(const std::vector<Outcome>& outcomes, std::size_t nodes) {
  std::vector<std::size_t> result(nodes, 0);
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    for (const std::uint32_t node : outcomes[i].nodes) result[node] = i;
  }
  return result;
}

TrafficMoves moves_between(std::vector<Outcome> before, std::vector<Outcome> after,
                           std::size_t nodes) {
  const auto before_of = outcome_by_node(before, nodes);
  const auto after_of = outcome_by_node(after, nodes);
  for (auto* outcomes : {&before, &after}) {
    for (Outcome& outcome : *outcomes) outcome.nodes.clear();
  }
  std::map<std::pair<std::size_t, std::size_t>, std::size_t> known;
  TrafficMoves result;
  for (std::uint32_t node = 0; node < nodes; ++node) {
    const std::pair change{before_of[node], after_of[node]};
    const auto [entry, is_new] = known.try_emplace(change, result.moves.size());
    if (is_new) {
      const Outcome& from = before[change.first];
      const Outcome& to = after[change.second];
      result.moves.push_back({{}, from, to, moved_share(from, to)});
    }
    result.moves[entry->second].nodes.push_back(node);
  }
  double moved = 0;
  for (const Move& move : result.moves) {
    const std::size_t count = move.nodes.size();
    moved += move.share * static_cast<double>(count);
    if (move.share > 0) result.moved_nodes += count;
    if (move.before.backends.empty() == move.after.backends.empty()) continue;
    (move.after.backends.empty() ? result.losing_nodes : result.gaining_nodes) += count;
  }
  result.share = nodes == 0 ? 0 : moved / static_cast<double>(nodes);
  return result;
}

}  // namespace

std::vector<PortMoves> moves_on_all_nodes(const Service& before, const Service& after,
                                          const ServiceEndpoints& endpoints, NodeTable& nodes) {
  const auto groups_before = plan_on_all_nodes(before, endpoints, nodes);
  const auto groups_after = plan_on_all_nodes(after, endpoints, nodes);
  if (groups_before.empty()) return {};
  std::vector<PortMoves> result;
  const auto& ports = groups_before.front().plan.ports;
  for (std::size_t port = 0; port < ports.size(); ++port) {
    const auto moves = [&](TrafficOf traffic_of) {
      return moves_between(outcomes_of(groups_before, port, traffic_of),
                           outcomes_of(groups_after, port, traffic_of), nodes.size());
    };
    PortMoves& entry = result.emplace_back();
    entry.key = ports[port].key;
    entry.port_name = ports[port].port_name;
    entry.internal = moves(internal_of);
    if (ports[port].external) entry.external = moves(external_of);
  }
  return result;
}

}  // namespace topolb::core
