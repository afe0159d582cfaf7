// SPDX-License-Identifier: Apache-2.0
#include "cli/explain_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "cli/json.h"
#include "cli/plan_view.h"
#include "cli/table.h"
#include "cli/text.h"

namespace topolb::cli {
namespace {

using core::EndpointExplanation;
using core::TrafficExplanation;

constexpr std::size_t kShownEndpointsPerReason = 20;

std::string or_dash(const std::string& text) { return text.empty() ? "-" : text; }
Json or_null(const std::string& text) { return text.empty() ? Json() : Json(text); }

/// By why they are in or out: those in first.
using Groups = std::map<std::pair<bool, std::string>, std::vector<const EndpointExplanation*>>;

Groups group(const std::vector<EndpointExplanation>& endpoints) {
  Groups groups;
  for (const auto& endpoint : endpoints) {
    groups[{!endpoint.chosen, endpoint.reason}].push_back(&endpoint);
  }
  return groups;
}

void print_endpoints(std::ostream& out, const std::vector<EndpointExplanation>& endpoints) {
  Table table({{"ENDPOINT"}, {"NODE"}, {"ZONE"}, {"STATE"}}, 4);
  for (const auto& [why, members] : group(endpoints)) {
    const auto& [is_out, reason] = why;
    table.line(fmt::format("{} {}", is_out ? "out:" : "in: ", reason), 2);
    std::size_t shown = 0;
    for (const auto* endpoint : members) {
      if (shown++ == kShownEndpointsPerReason) {
        table.line(fmt::format("+{} more", members.size() - kShownEndpointsPerReason), 4);
        break;
      }
      table.row({endpoint->backend.to_string(), or_dash(endpoint->node), or_dash(endpoint->zone),
                 std::string(core::to_string(endpoint->state))});
    }
  }
  if (!table.empty()) table.print(out);
}

/// Both kinds of traffic get the same for the same reasons. The endpoints are those of one port.
bool is_alike(const TrafficExplanation& a, const TrafficExplanation& b) {
  return a.verdict == b.verdict && a.reason == b.reason &&
         std::equal(a.endpoints.begin(), a.endpoints.end(), b.endpoints.begin(), b.endpoints.end(),
                    [](const auto& x, const auto& y) { return x.reason == y.reason; });
}

void print_traffic(std::ostream& out, std::string_view title, const TrafficExplanation& traffic) {
  out << fmt::format("\n{}: {}\n", title, core::to_string(traffic.verdict));
  Table reason({{""}});
  reason.line(traffic.reason, 2);
  reason.print(out);
  print_endpoints(out, traffic.endpoints);
}

Json traffic_json(const TrafficExplanation& traffic) {
  Json::Array endpoints;
  for (const auto& endpoint : traffic.endpoints) {
    endpoints.emplace_back(Json::Object{{"backend", endpoint.backend.to_string()},
                                        {"node", or_null(endpoint.node)},
                                        {"zone", or_null(endpoint.zone)},
                                        {"state", core::to_string(endpoint.state)},
                                        {"chosen", endpoint.chosen},
                                        {"first_key", or_null(endpoint.first_key)},
                                        {"reason", endpoint.reason}});
  }
  return Json::Object{{"verdict", core::to_string(traffic.verdict)},
                      {"tier", or_null(traffic.tier)},
                      {"reason", traffic.reason},
                      {"endpoints", std::move(endpoints)}};
}

Json port_json(const core::PortExplanation& port) {
  return Json::Object{{"port", Json::Object{{"name", port.port_name},
                                            {"number", port.key.port},
                                            {"protocol", to_string(port.key.protocol)}}},
                      {"family", to_string(port.key.family)},
                      {"internal", traffic_json(port.internal)},
                      {"external", port.external ? traffic_json(*port.external) : Json()}};
}

}  // namespace

void print_explanation(std::ostream& out, const ExplainView& view) {
  const auto& explanation = view.explanation;
  Table facts({{""}, {""}});
  facts.row({std::string("Service"),
             fmt::format("{}/{}", view.service.namespace_name, view.service.name)});
  facts.row({std::string("Node"), view.node});
  std::string label = "Topology keys";
  for (const auto& key : explanation.topology_keys) facts.row({std::exchange(label, ""), key});
  if (explanation.topology_keys.empty()) facts.row({label, "none in force"});
  facts.print(out);
  for (const auto& port : explanation.ports) {
    out << fmt::format("\nPort {}{}{}, {}\n", port_text(port.key.port, port.key.protocol),
                       port.port_name.empty() ? "" : " ", printable(port.port_name),
                       to_string(port.key.family));
    const bool alike = port.external && is_alike(port.internal, *port.external);
    print_traffic(out, alike ? "Internal and external traffic" : "Internal traffic", port.internal);
    if (port.external && !alike) print_traffic(out, "External traffic", *port.external);
  }
  if (explanation.problems.empty()) return;
  out << '\n' << counted(explanation.problems.size(), "problem") << ":\n";
  print_problems_table(out, explanation.problems);
}

void print_explanation_json(std::ostream& out, const ExplainView& view) {
  const auto& explanation = view.explanation;
  JsonDocument document(out);
  document.member("node", view.node);
  document.member("namespace", view.service.namespace_name);
  document.member("name", view.service.name);
  document.member("topology_keys", Json(explanation.topology_keys));
  document.list("ports", explanation.ports, port_json);
  document.list("problems", explanation.problems,
                [](const core::Problem& problem) { return to_json(problem); });
}

}  // namespace topolb::cli
