// SPDX-License-Identifier: Apache-2.0
#include "cli/service_view.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "cli/plan_view.h"
#include "cli/table.h"
#include "cli/text.h"

namespace topolb::cli {
namespace {

constexpr std::size_t kShownBackendsPerTier = 5;

/// "zone 2/6": the tier, its usable backends of all that the kernel knows. "reject", "drop".
std::string outcome(const std::optional<TrafficView>& traffic) {
  if (!traffic) return "-";
  const TierView* tier = traffic->effective();
  if (tier == nullptr) return std::string(core::to_string(traffic->verdict));
  return fmt::format("{} {}/{}", tier->key.empty() ? "forward" : short_key(tier->key),
                     traffic->backends().size(), traffic->known_backends());
}

Json key_json(const std::string& key) { return key.empty() ? Json() : Json(key); }

Json::Object traffic_head(const TrafficView& traffic) {
  const TierView* tier = traffic.effective();
  return {{"verdict", core::to_string(traffic.verdict)},
          {"tier", tier == nullptr ? Json() : key_json(tier->key)},
          {"backends", Json(traffic.backends())}};
}

Json summary_json(const std::optional<TrafficView>& traffic) {
  if (!traffic) return {};
  auto object = traffic_head(*traffic);
  object.emplace_back("known_backends", std::uint64_t{traffic->known_backends()});
  return object;
}

Json tier_json(const TierView& tier) {
  Json::Array backends;
  for (const auto& backend : tier.backends) {
    backends.emplace_back(Json::Object{{"id", backend.id},
                                       {"address", backend.address.to_string()},
                                       {"state", backend.usable ? "usable" : "unusable"}});
  }
  return Json::Object{{"key", key_json(tier.key)},
                      {"terminating", tier.terminating},
                      {"backends", std::move(backends)}};
}

Json traffic_json(const std::optional<TrafficView>& traffic) {
  if (!traffic) return {};
  auto object = traffic_head(*traffic);
  object.emplace_back("set_ids", Json::Array(traffic->set_ids.begin(), traffic->set_ids.end()));
  Json::Array tiers;
  for (const auto& tier : traffic->tiers) tiers.push_back(tier_json(tier));
  object.emplace_back("tiers", std::move(tiers));
  return object;
}

Json::Object service_head(const ServiceView& service) {
  auto object = service_port_json(service.key, service.port_name);
  object.emplace_back("id", service.id);
  object.emplace_back("frontends", to_json(service.frontends));
  object.emplace_back("affinity_timeout_seconds",
                      service.affinity_timeout_s == 0 ? Json() : Json(service.affinity_timeout_s));
  return object;
}

Json connections_json(const ServiceView& service) {
  Json::Array by_key;
  for (const auto& counter : service.by_key) {
    by_key.emplace_back(
        Json::Object{{"key", key_json(counter.key)}, {"connections", counter.connections}});
  }
  return Json::Object{{"refused", service.refused},
                      {"without_key", service.without_key},
                      {"by_key", std::move(by_key)}};
}

/// What of a tier is not shown: "+17 more, 2 unusable".
std::string rest_text(const TierView& tier) {
  const auto first = tier.backends.begin() + kShownBackendsPerTier;
  const auto unusable = std::count_if(first, tier.backends.end(),
                                      [](const BackendView& backend) { return !backend.usable; });
  const auto count = tier.backends.end() - first;
  return unusable == 0 ? fmt::format("+{} more", count)
                       : fmt::format("+{} more, {} unusable", count, unusable);
}

void print_tiers(std::ostream& out, const TrafficView& traffic) {
  if (traffic.tiers.empty()) return;
  Table table({{"TIER"}, {"BACKEND"}, {"ID", Align::Right}, {"STATE"}}, 2);
  for (const auto& tier : traffic.tiers) {
    std::string name = tier.key.empty() ? "all" : tier.key;
    if (tier.terminating) name += " (terminating)";
    std::size_t shown = 0;
    for (const auto& backend : tier.backends) {
      if (shown++ == kShownBackendsPerTier) {
        table.row({"", rest_text(tier), "", ""});
        break;
      }
      table.row({std::exchange(name, ""), backend.address.to_string(),
                 fmt::format("{}", backend.id), backend.usable ? "usable" : "unusable"});
    }
  }
  table.print(out);
}

/// Kinds of traffic that share a set are shown once.
void print_traffic(std::ostream& out, const ServiceView& service) {
  std::vector<std::pair<std::string, const TrafficView*>> shown;
  const auto add = [&](const std::string& name, const TrafficView& traffic) {
    for (auto& [names, other] : shown) {
      if (other->set_ids == traffic.set_ids) {
        names += ", " + name;
        return;
      }
    }
    shown.emplace_back(name, &traffic);
  };
  add("internal", service.internal);
  if (service.external) add("external", *service.external);
  if (service.node_external) add("node-external", *service.node_external);
  for (const auto& [names, traffic] : shown) {
    const TierView* tier = traffic->effective();
    const bool has_tier = tier != nullptr && !tier->key.empty();
    out << fmt::format("\nTraffic {}: {}{} (set{} {})\n", names, core::to_string(traffic->verdict),
                       has_tier ? " by " + printable(short_key(tier->key)) : "",
                       traffic->set_ids.size() == 1 ? "" : "s", fmt::join(traffic->set_ids, ", "));
    print_tiers(out, *traffic);
  }
}

void print_connections(std::ostream& out, const ServiceView& service) {
  out << "\nConnections so far\n";
  Table table({{""}, {"", Align::Right}}, 2);
  for (std::size_t i = 0; i < service.by_key.size(); ++i) {
    const auto& counter = service.by_key[i];
    table.row({counter.key.empty() ? fmt::format("key {} (no backends now)", i + 1) : counter.key,
               fmt::format("{}", counter.connections)});
  }
  if (service.by_key.empty() || service.without_key != 0) {
    table.row({std::string("without topology key"), fmt::format("{}", service.without_key)});
  }
  table.row({std::string("refused"), fmt::format("{}", service.refused)});
  table.print(out);
}

}  // namespace

void print_service_list(std::ostream& out, const std::vector<ServiceView>& services) {
  if (services.empty()) {
    out << "No Services.\n";
    return;
  }
  Table table({{"SERVICE"}, {"PORT"}, {"FRONTENDS"}, {"INTERNAL"}, {"EXTERNAL"}});
  for (const auto& service : services) {
    std::vector<std::string> frontends;
    for (const auto& frontend : service.frontends) {
      frontends.push_back(SocketAddress{frontend.address, frontend.port}.to_string());
    }
    const auto& key = service.key;
    table.row({fmt::format("{}/{}", key.service.namespace_name, key.service.name),
               port_text(key.port, key.protocol), std::move(frontends), outcome(service.internal),
               outcome(service.external)});
  }
  table.print(out);
}

Json service_summary_json(const ServiceView& service) {
  auto object = service_head(service);
  object.emplace_back("internal", summary_json(service.internal));
  object.emplace_back("external", summary_json(service.external));
  object.emplace_back("node_external", summary_json(service.node_external));
  return object;
}

Json service_json(const ServiceView& service) {
  auto object = service_head(service);
  object.emplace_back("internal", traffic_json(service.internal));
  object.emplace_back("external", traffic_json(service.external));
  object.emplace_back("node_external", traffic_json(service.node_external));
  object.emplace_back("connections", connections_json(service));
  return object;
}

void print_service(std::ostream& out, const ServiceView& service) {
  const auto& key = service.key;
  Table facts({{""}, {""}});
  facts.row(
      {std::string("Service"), fmt::format("{}/{}", key.service.namespace_name, key.service.name)});
  facts.row({std::string("Port"), fmt::format("{}{}{}, {}", port_text(key.port, key.protocol),
                                              service.port_name.empty() ? "" : " ",
                                              service.port_name, to_string(key.family))});
  facts.row({std::string("Id"), fmt::format("{}", service.id)});
  facts.row(
      {std::string("Affinity"), service.affinity_timeout_s == 0
                                    ? "none"
                                    : fmt::format("ClientIP, {} s", service.affinity_timeout_s)});
  std::string label = "Frontends";
  for (const auto& frontend : service.frontends) {
    facts.row({std::exchange(label, ""),
               fmt::format("{} {}", core::to_string(frontend.kind),
                           SocketAddress{frontend.address, frontend.port}.to_string())});
  }
  facts.print(out);
  print_traffic(out, service);
  print_connections(out, service);
}

}  // namespace topolb::cli
