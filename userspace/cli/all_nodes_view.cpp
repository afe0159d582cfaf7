// SPDX-License-Identifier: Apache-2.0
#include "cli/all_nodes_view.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "cli/plan_view.h"

namespace topolb::cli {
namespace {

using core::TrafficSpread;

constexpr std::string_view kAssumption =
    "every node sends as much to each Service port as any other node, "
    "spread evenly over the backends that it may use";

Json node_names_json(const std::vector<std::uint32_t>& nodes, const AllNodesView& view) {
  Json::Array names;
  names.reserve(nodes.size());
  for (const std::uint32_t node : nodes) names.emplace_back(view.nodes[node].name);
  return names;
}

Json domain_json(const core::DomainLoad& domain) {
  return Json::Object{{"key", domain.key},
                      {"value", domain.value ? Json(*domain.value) : Json()},
                      {"nodes", std::uint64_t{domain.nodes}},
                      {"refused_nodes", std::uint64_t{domain.nodes_without_backend}},
                      {"backends", std::uint64_t{domain.backends}},
                      {"sent", domain.sent},
                      {"kept", domain.kept},
                      {"share", domain.share},
                      {"ratio", domain.ratio}};
}

Json spread_json(const TrafficSpread& spread, const AllNodesView& view) {
  Json::Array outcomes;
  for (const auto& outcome : spread.outcomes) {
    auto object = outcome_json(outcome);
    object.emplace_back("nodes", node_names_json(outcome.nodes, view));
    outcomes.emplace_back(std::move(object));
  }
  Json::Array backends;
  for (const auto& backend : spread.backends) {
    backends.emplace_back(Json::Object{{"address", backend.backend.to_string()},
                                       {"node", backend.node.empty() ? Json() : Json(backend.node)},
                                       {"share", backend.share},
                                       {"ratio", backend.ratio}});
  }
  Json::Array domains;
  for (const auto& domain : spread.domains) domains.push_back(domain_json(domain));
  return Json::Object{{"outcomes", std::move(outcomes)},
                      {"backends", std::move(backends)},
                      {"domains", std::move(domains)}};
}

/// What one Service port's internal traffic, one of `ports`, adds to the nodes.
void add_to_nodes(const TrafficSpread& spread, std::size_t ports,
                  const std::unordered_map<std::string_view, std::size_t>& numbers,
                  std::vector<NodeLoad>& nodes) {
  const auto weight = 1 / static_cast<double>(ports);
  double forwarded = 0;
  for (const auto& backend : spread.backends) forwarded += backend.share;
  const double fair =
      forwarded / static_cast<double>(std::max<std::size_t>(spread.backends.size(), 1));
  for (const auto& backend : spread.backends) {
    const auto found = numbers.find(backend.node);
    if (found == numbers.end()) continue;
    nodes[found->second].share += backend.share * weight;
    nodes[found->second].fair_share += fair * weight;
  }
  for (const auto& outcome : spread.outcomes) {
    if (outcome.verdict == core::Verdict::Forward) continue;
    for (const std::uint32_t node : outcome.nodes) ++nodes[node].refused_ports;
  }
}

}  // namespace

Json::Object outcome_json(const core::Outcome& outcome) {
  return {{"verdict", core::to_string(outcome.verdict)},
          {"tier", outcome.tier ? Json(*outcome.tier) : Json()},
          {"backends", Json(backend_texts(outcome.backends))}};
}

AllNodesView all_nodes_view(const core::ClusterState& state, std::vector<core::Problem> problems) {
  AllNodesView view{{}, {}, std::move(problems)};
  core::NodeTable table(state.nodes());
  std::unordered_map<std::string_view, std::size_t> numbers;
  for (std::uint32_t node = 0; node < table.size(); ++node) {
    view.nodes.push_back({table.name(node)});
    numbers.emplace(table.name(node), node);
  }
  const auto plan = state.plan();
  for (auto port = plan.begin(); port != plan.end();) {
    const auto& key = port->key.service;
    for (auto& spread :
         core::spread_on_all_nodes(*state.find_service(key), state.endpoints_of(key), table)) {
      // A frontend that is another Service's leaves this one without external traffic.
      if (!port->external) spread.external.reset();
      view.ports.push_back(std::move(spread));
      ++port;
    }
    if (table.size() == 0) break;
  }
  for (const auto& spread : view.ports) {
    add_to_nodes(spread.internal, view.ports.size(), numbers, view.nodes);
  }
  return view;
}

void print_all_nodes_json(std::ostream& out, const AllNodesView& view) {
  JsonDocument document(out);
  document.member("assumption", kAssumption);
  document.list("services", view.ports, [&](const core::PortSpread& spread) {
    auto object = service_port_json(spread.key, spread.port_name);
    object.emplace_back("internal", spread_json(spread.internal, view));
    object.emplace_back("external", spread.external ? spread_json(*spread.external, view) : Json());
    return object;
  });
  document.list("nodes", view.nodes, [](const NodeLoad& node) {
    return Json::Object{{"name", node.name},
                        {"refused_service_ports", std::uint64_t{node.refused_ports}},
                        {"share", node.share},
                        {"ratio", node.ratio()}};
  });
  document.list("problems", view.problems,
                [](const core::Problem& problem) { return to_json(problem); });
}

}  // namespace topolb::cli
