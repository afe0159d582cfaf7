// SPDX-License-Identifier: Apache-2.0
#include "core/plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/frontends.h"
#include "core/planner.h"
#include "core/traffic.h"

namespace topolb::core {
namespace {

Problem service_problem(const Service& service, std::string reason, std::string message) {
  return {"Service", service.key.namespace_name, service.key.name, std::move(reason),
          std::move(message)};
}

std::string port_text(const ServicePort& port) {
  return fmt::format("{}/{}", port.number, to_string(port.protocol));
}

std::vector<Problem> problems_of(const Service& service, const TopologyKeys& keys) {
  std::vector<Problem> problems;
  if (!keys.valid()) {
    problems.push_back(service_problem(service, keys.problem_reason, keys.problem_message));
  } else if (!keys.keys.empty() && service.internal_local) {
    problems.push_back(service_problem(
        service, "TopologyKeysIgnored",
        "internalTrafficPolicy Local wins over the topology keys for traffic to the cluster IP: "
        "remove one of the two"));
  }
  for (const ServicePort& port : service.ports) {
    if (is_repeated(service, port)) {
      problems.push_back(service_problem(
          service, "DuplicatePort",
          fmt::format("port {} is there twice: the first one is served", port_text(port))));
    } else if (port.protocol == Protocol::SCTP) {
      problems.push_back(
          service_problem(service, "UnsupportedProtocol",
                          fmt::format("port {} is planned but not forwarded: only TCP and UDP are",
                                      port_text(port))));
    }
  }
  std::sort(problems.begin(), problems.end());
  return problems;
}

// Both lists are sorted, and `backends` are some of those of `endpoints`.
void mark_backends(const std::vector<PortEndpoint>& endpoints,
                   const std::vector<SocketAddress>& backends, std::vector<bool>& marks) {
  std::size_t at = 0;
  for (const SocketAddress& backend : backends) {
    while (at < endpoints.size() && endpoints[at].backend < backend) ++at;
    if (at < endpoints.size() && endpoints[at].backend == backend) marks[at] = true;
  }
}

std::vector<IpPrefix> of_family(const std::vector<IpPrefix>& ranges, Family family) {
  std::vector<IpPrefix> chosen;
  for (const IpPrefix& range : ranges) {
    if (range.address.family() == family) chosen.push_back(range);
  }
  return chosen;
}

}  // namespace

std::string_view to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::Forward:
      return "forward";
    case Verdict::Reject:
      return "reject";
    case Verdict::Drop:
      return "drop";
  }
  return "?";
}

const Tier* TrafficPlan::effective() const {
  if (verdict != Verdict::Forward) return nullptr;
  for (const std::vector<Tier>* list : {&tiers, &terminating_tiers}) {
    for (const Tier& tier : *list) {
      if (!tier.backends.empty()) return &tier;
    }
  }
  return nullptr;
}

// Cluster policy or keys.
TrafficPlan Planner::shared_traffic(const TopologyKeys& keys,
                                    const std::vector<PortEndpoint>& endpoints) {
  if (keys.keys.empty()) return cluster_traffic(endpoints, node_);
  KeyMatcher matcher(keys.keys, node_, facts_.masks_of(keys.keys));
  return keyed_traffic(endpoints, matcher);
}

void Planner::plan_traffic(const Service& service, const TopologyKeys& keys,
                           const std::vector<PortEndpoint>& endpoints, ServicePortPlan& plan) {
  const bool external = has_external_frontend(plan.frontends);
  if (!keys.valid()) {
    if (external) plan.external = plan.node_external = TrafficPlan{};
    return;
  }
  TrafficPlan shared;  // made only where somebody follows it
  if (!service.internal_local || external) shared = shared_traffic(keys, endpoints);
  if (external) {
    plan.external = service.external_local ? local_traffic(endpoints, node_) : shared;
    plan.node_external = shared;
  }
  plan.internal = service.internal_local ? local_traffic(endpoints, node_) : std::move(shared);
}

Place Planner::place_of(const PortEndpoint& endpoint) {
  std::vector<Place>& places = facts_.places();
  const PoolId id = endpoint.placement_id;
  if (id >= places.size()) places.resize(id + id / 2 + 1, Place::NotLookedAt);
  if (places[id] == Place::NotLookedAt) {
    const Placement& placement = *endpoint.placement;
    places[id] = is_local(placement, node_)    ? Place::Here
                 : placement.node_name.empty() ? Place::OnNoNode
                                               : Place::Elsewhere;
  }
  return places[id];
}

void Planner::plan_backends(const std::vector<PortEndpoint>& endpoints, ServicePortPlan& plan) {
  std::vector<bool> in_a_tier(endpoints.size(), false);
  for (const auto* traffic : {&plan.internal, plan.external ? &*plan.external : nullptr,
                              plan.node_external ? &*plan.node_external : nullptr}) {
    if (traffic == nullptr) continue;
    for (const auto* tiers : {&traffic->tiers, &traffic->terminating_tiers}) {
      for (const Tier& tier : *tiers) mark_backends(endpoints, tier.backends, in_a_tier);
    }
  }
  for (std::size_t i = 0; i < endpoints.size(); ++i) {
    if (!in_a_tier[i]) plan.idle_backends.push_back(endpoints[i].backend);
    const Place place = place_of(endpoints[i]);
    if (place == Place::Here) plan.local_backends.push_back(endpoints[i].backend);
    if (place == Place::OnNoNode) plan.nodeless_backends.push_back(endpoints[i].backend);
  }
}

ServicePlan Planner::plan(const Service& service, const TopologyKeys& keys,
                          const ServiceEndpoints& endpoints) {
  ServicePlan result;
  result.problems = problems_of(service, keys);
  const auto ports = service_ports_of(service);
  result.ports.reserve(ports.size());
  for (const auto& [port, family] : ports) {
    ServicePortPlan& plan = result.ports.emplace_back();
    plan.key = {service.key, port->number, port->protocol, family};
    plan.port_name = port->name;
    plan.frontends = frontends_of(service, *port, family);
    plan.affinity_timeout_s = service.affinity_timeout_s;
    plan.source_ranges = of_family(service.source_ranges, family);
    const auto of_port = endpoints.of_port(*port, family);
    plan_traffic(service, keys, of_port, plan);
    plan_backends(of_port, plan);
  }
  return result;
}

ServicePlan plan_service(const Service& service, const ServiceEndpoints& endpoints,
                         const NodeView& node) {
  const TopologyKeys keys = topology_keys_of(service);
  PlacementFacts facts;
  return Planner(node, facts).plan(service, keys, endpoints);
}

}  // namespace topolb::core
