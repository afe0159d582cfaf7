// SPDX-License-Identifier: Apache-2.0
#include "core/explain.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "core/explain_words.h"
#include "core/key_matcher.h"
#include "core/traffic.h"

namespace topolb::core {
namespace {

EndpointState state_of(const PortEndpoint& endpoint) {
  if (endpoint.ready) return EndpointState::Ready;
  return endpoint.serving_terminating() ? EndpointState::Terminating : EndpointState::NotReady;
}

std::string zone_of(const Placement& placement, const NodeView& node) {
  const bool known = is_on_known_node(placement, node);
  if (!known) return placement.zone;
  const std::string* zone = label_of(node, placement.node_name, kZoneLabel);
  return zone == nullptr ? std::string() : *zone;
}

const ServicePort& port_of(const Service& service, const ServicePortKey& key) {
  return *std::find_if(service.ports.begin(), service.ports.end(), [&](const ServicePort& port) {
    return port.number == key.port && port.protocol == key.protocol;
  });
}

class PortExplainer {
 public:
  PortExplainer(const std::vector<PortEndpoint>& endpoints, const TopologyKeys& keys,
                const NodeView& node)
      : endpoints_(endpoints), keys_(keys), node_(node), matcher_(keys.keys, node, masks_) {}

  /// `local_policy` is the name of the traffic policy that is Local, or "".
  TrafficExplanation explain(const TrafficPlan& plan, std::string_view local_policy) {
    const Situation situation{endpoints_, keys_,        node_,
                              plan,       local_policy, hint_use(endpoints_, node_)};
    TrafficExplanation result;
    result.verdict = plan.verdict;
    const Tier* tier = plan.effective();
    if (tier != nullptr) result.tier = tier->key;
    result.reason = traffic_reason(situation);
    result.endpoints.reserve(endpoints_.size());
    for (const PortEndpoint& endpoint : endpoints_) {
      result.endpoints.push_back(explain_endpoint(endpoint, tier, situation));
    }
    return result;
  }

 private:
  EndpointExplanation explain_endpoint(const PortEndpoint& endpoint, const Tier* tier,
                                       const Situation& situation) {
    EndpointExplanation result;
    result.backend = endpoint.backend;
    result.node = endpoint.placement->node_name;
    result.zone = zone_of(*endpoint.placement, node_);
    result.state = state_of(endpoint);
    result.chosen = tier != nullptr && std::binary_search(tier->backends.begin(),
                                                          tier->backends.end(), endpoint.backend);
    if (situation.plan.has_keys) {
      const KeyMask mask = matcher_.matches(endpoint);
      if (mask != 0)
        result.first_key = keys_.keys[static_cast<std::size_t>(std::countr_zero(mask))];
    }
    result.reason = result.chosen ? reason_in(*endpoint.placement, situation)
                                  : reason_out(endpoint, result.first_key, situation);
    return result;
  }

  const std::vector<PortEndpoint>& endpoints_;
  const TopologyKeys& keys_;
  const NodeView& node_;
  KeyMasks masks_;
  KeyMatcher matcher_;
};

}  // namespace

std::string_view to_string(EndpointState state) {
  switch (state) {
    case EndpointState::Ready:
      return "ready";
    case EndpointState::Terminating:
      return "terminating";
    case EndpointState::NotReady:
      return "not ready";
  }
  return "?";
}

ServiceExplanation explain_service(const Service& service, const ServiceEndpoints& endpoints,
                                   const NodeView& node) {
  const TopologyKeys keys = topology_keys_of(service);
  const ServicePlan plan = plan_service(service, endpoints, node);
  ServiceExplanation result;
  result.topology_keys = keys.keys;
  result.problems = plan.problems;
  for (const ServicePortPlan& port_plan : plan.ports) {
    const auto port_endpoints =
        endpoints.of_port(port_of(service, port_plan.key), port_plan.key.family);
    PortExplainer explainer(port_endpoints, keys, node);
    PortExplanation& port = result.ports.emplace_back();
    port.key = port_plan.key;
    port.port_name = port_plan.port_name;
    port.internal = explainer.explain(port_plan.internal,
                                      service.internal_local ? "internalTrafficPolicy" : "");
    if (port_plan.external) {
      port.external = explainer.explain(*port_plan.external,
                                        service.external_local ? "externalTrafficPolicy" : "");
    }
  }
  return result;
}

}  // namespace topolb::core
