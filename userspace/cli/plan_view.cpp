// SPDX-License-Identifier: Apache-2.0
#include "cli/plan_view.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/table.h"
#include "cli/text.h"

namespace topolb::cli {
namespace {

using core::Tier;
using core::TrafficPlan;

/// The tiers that are shown: so that `backends` always equals the tier that `tier` names, those of
/// the serving-terminating backends when the fallback decides.
const std::vector<Tier>& shown_tiers(const TrafficPlan& traffic) {
  const auto& fallback = traffic.terminating_tiers;
  const Tier* effective = traffic.effective();
  const bool falls_back = std::any_of(fallback.begin(), fallback.end(),
                                      [&](const Tier& tier) { return &tier == effective; });
  return falls_back ? fallback : traffic.tiers;
}

Json::Array tiers_json(const TrafficPlan& traffic) {
  Json::Array tiers;
  if (!traffic.has_keys) return tiers;
  for (const Tier& tier : shown_tiers(traffic)) {
    tiers.emplace_back(
        Json::Object{{"key", tier.key}, {"backends", Json(backend_texts(tier.backends))}});
  }
  return tiers;
}

Json traffic_json(const TrafficPlan& traffic) {
  const Tier* effective = traffic.effective();
  const bool has_tier = traffic.has_keys && effective != nullptr;
  const auto backends =
      effective == nullptr ? std::vector<std::string>{} : backend_texts(effective->backends);
  return Json::Object{{"verdict", core::to_string(traffic.verdict)},
                      {"tier", has_tier ? Json(effective->key) : Json()},
                      {"backends", Json(backends)},
                      {"tiers", tiers_json(traffic)}};
}

Json service_plan_json(const core::ServicePortPlan& service) {
  auto object = service_port_json(service.key, service.port_name);
  object.emplace_back("frontends", to_json(service.frontends));
  object.emplace_back("internal", traffic_json(service.internal));
  object.emplace_back("external", service.external ? traffic_json(*service.external) : Json());
  return object;
}

void add_traffic_row(Table& table, const std::vector<std::string>& first_cells,
                     std::string_view traffic_name, const TrafficPlan& traffic) {
  const Tier* effective = traffic.effective();
  const bool has_tier = traffic.has_keys && effective != nullptr;
  table.row(
      {first_cells[0], first_cells[1], std::string(traffic_name),
       std::string(core::to_string(traffic.verdict)), has_tier ? short_key(effective->key) : "-",
       effective == nullptr ? std::vector<std::string>{} : backend_texts(effective->backends)});
}

}  // namespace

std::string port_text(std::uint16_t port, Protocol protocol) {
  return fmt::format("{}/{}", port, to_string(protocol));
}

std::string short_key(std::string_view key) {
  if (key == core::kHostnameLabel) return "hostname";
  if (key == core::kZoneLabel) return "zone";
  if (key == "topology.kubernetes.io/region") return "region";
  if (key == "hostname" || key == "zone" || key == "region") return fmt::format("\"{}\"", key);
  return std::string(key);
}

std::vector<std::string> backend_texts(const std::vector<SocketAddress>& backends) {
  std::vector<std::string> texts;
  texts.reserve(backends.size());
  for (const auto& backend : backends) texts.push_back(backend.to_string());
  std::sort(texts.begin(), texts.end());
  return texts;
}

Json::Object service_port_json(const core::ServicePortKey& key, const std::string& port_name) {
  return {{"namespace", key.service.namespace_name},
          {"name", key.service.name},
          {"port",
           Json::Object{
               {"name", port_name}, {"number", key.port}, {"protocol", to_string(key.protocol)}}},
          {"family", to_string(key.family)}};
}

Json to_json(const std::vector<core::Frontend>& frontends) {
  Json::Array array;
  for (const auto& frontend : frontends) {
    array.emplace_back(Json::Object{{"kind", core::to_string(frontend.kind)},
                                    {"address", frontend.address.to_string()},
                                    {"port", frontend.port}});
  }
  return array;
}

Json to_json(const core::Problem& problem) {
  return Json::Object{{"kind", problem.kind},
                      {"namespace", problem.namespace_name},
                      {"name", problem.name},
                      {"reason", problem.reason},
                      {"message", problem.message}};
}

void print_plan_json(std::ostream& out, const PlanView& plan) {
  JsonDocument document(out);
  document.member("node", plan.node);
  document.list("services", plan.services, service_plan_json);
  document.list("problems", plan.problems,
                [](const core::Problem& problem) { return to_json(problem); });
}

void print_plan_table(std::ostream& out, const PlanView& plan) {
  Table table({{"SERVICE"}, {"PORT"}, {"TRAFFIC"}, {"VERDICT"}, {"TIER"}, {"BACKENDS"}});
  core::ObjectKey previous;
  for (const auto& service : plan.services) {
    const auto& key = service.key;
    std::vector<std::string> first_cells{"", port_text(key.port, key.protocol)};
    if (key.family == Family::IPv6) first_cells[1] += " v6";
    if (key.service != previous) {
      first_cells[0] = fmt::format("{}/{}", key.service.namespace_name, key.service.name);
      previous = key.service;
    }
    add_traffic_row(table, first_cells, "internal", service.internal);
    if (service.external) add_traffic_row(table, {"", ""}, "external", *service.external);
  }
  if (table.empty()) {
    out << "No Service to serve on node " << printable(plan.node) << ".\n";
  } else {
    table.print(out);
  }
  if (plan.problems.empty()) return;
  out << '\n' << counted(plan.problems.size(), "problem") << ":\n";
  print_problems_table(out, plan.problems);
}

void print_problems_table(std::ostream& out, const std::vector<core::Problem>& problems) {
  Table table({{""}, {""}, {""}});
  for (const auto& problem : problems) {
    const auto name = problem.namespace_name.empty()
                          ? problem.name
                          : fmt::format("{}/{}", problem.namespace_name, problem.name);
    table.row({problem.kind, name, problem.reason});
    table.line(problem.message, 4);
  }
  table.print(out);
}

}  // namespace topolb::cli
