// SPDX-License-Identifier: Apache-2.0
#include "core/traffic.h"

#include <algorithm>
#include <array>
#include <bit>

#include "core/name_list.h"

namespace topolb::core {
namespace {

template <typename Condition>
std::vector<SocketAddress> backends_if(const std::vector<PortEndpoint>& endpoints,
                                       Condition condition) {
  std::vector<SocketAddress> backends;
  backends.reserve(
      static_cast<std::size_t>(std::count_if(endpoints.begin(), endpoints.end(), condition)));
  for (const PortEndpoint& endpoint : endpoints) {
    if (condition(endpoint)) backends.push_back(endpoint.backend);
  }
  return backends;
}

bool any_backend(const std::vector<Tier>& tiers) {
  return std::any_of(tiers.begin(), tiers.end(),
                     [](const Tier& tier) { return !tier.backends.empty(); });
}

// Without keys there is one tier; a fixed verdict has none.
TrafficPlan unkeyed_plan(std::vector<SocketAddress> ready, std::vector<SocketAddress> terminating,
                         Verdict verdict_if_none) {
  TrafficPlan plan;
  if (ready.empty() && terminating.empty()) {
    plan.verdict = verdict_if_none;
    return plan;
  }
  plan.verdict = Verdict::Forward;
  plan.tiers.push_back({"", std::move(ready)});
  if (!terminating.empty()) plan.terminating_tiers.push_back({"", std::move(terminating)});
  return plan;
}

std::vector<Tier> empty_tiers(const std::vector<std::string>& keys) {
  std::vector<Tier> tiers;
  tiers.reserve(keys.size());
  for (const std::string& key : keys) tiers.push_back({key, {}});
  return tiers;
}

// `masks` go with `endpoints`; 0 leaves one out.
std::vector<Tier> tiers_of(const std::vector<PortEndpoint>& endpoints,
                           const std::vector<KeyMask>& masks,
                           const std::vector<std::string>& keys) {
  std::vector<Tier> tiers = empty_tiers(keys);
  for (std::size_t key = 0; key < keys.size(); ++key) {
    const KeyMask bit = KeyMask{1} << key;
    const auto count = std::count_if(masks.begin(), masks.end(),
                                     [bit](KeyMask mask) { return (mask & bit) != 0; });
    tiers[key].backends.reserve(static_cast<std::size_t>(count));
  }
  for (std::size_t i = 0; i < endpoints.size(); ++i) {
    for (KeyMask rest = masks[i]; rest != 0; rest &= rest - 1) {
      tiers[static_cast<std::size_t>(std::countr_zero(rest))].backends.push_back(
          endpoints[i].backend);
    }
  }
  return tiers;
}

}  // namespace

bool is_local(const Placement& placement, const NodeView& node) {
  return !placement.node_name.empty() && placement.node_name == node.node_name;
}

HintUse hint_use(const std::vector<PortEndpoint>& endpoints, const NodeView& node) {
  bool all_for_nodes = true;
  bool all_for_zones = true;
  for (const PortEndpoint& endpoint : endpoints) {
    if (!endpoint.ready) continue;
    all_for_nodes = all_for_nodes && !endpoint.placement->node_hints.empty();
    all_for_zones = all_for_zones && !endpoint.placement->zone_hints.empty();
    if (!all_for_nodes && !all_for_zones) return HintUse::None;
  }
  const auto any_here = [&](HintUse use) {
    return std::any_of(endpoints.begin(), endpoints.end(), [&](const PortEndpoint& endpoint) {
      return endpoint.ready && hinted_here(*endpoint.placement, use, node);
    });
  };
  if (all_for_nodes && any_here(HintUse::ForNodes)) return HintUse::ForNodes;
  if (all_for_zones && any_here(HintUse::ForZones)) return HintUse::ForZones;
  return HintUse::None;
}

bool hinted_here(const Placement& placement, HintUse use, const NodeView& node) {
  if (use == HintUse::None) return true;
  if (use == HintUse::ForNodes) return has_name(placement.node_hints, node.node_name);
  const std::string* zone = label_of(node, node.node_name, kZoneLabel);
  return zone != nullptr && has_name(placement.zone_hints, *zone);
}

TrafficPlan cluster_traffic(const std::vector<PortEndpoint>& endpoints, const NodeView& node) {
  const HintUse use = hint_use(endpoints, node);
  auto ready = backends_if(endpoints, [&](const PortEndpoint& endpoint) {
    return endpoint.ready && hinted_here(*endpoint.placement, use, node);
  });
  auto terminating = backends_if(
      endpoints, [](const PortEndpoint& endpoint) { return endpoint.serving_terminating(); });
  return unkeyed_plan(std::move(ready), std::move(terminating), Verdict::Reject);
}

TrafficPlan local_traffic(const std::vector<PortEndpoint>& endpoints, const NodeView& node) {
  auto ready = backends_if(endpoints, [&](const PortEndpoint& endpoint) {
    return endpoint.ready && is_local(*endpoint.placement, node);
  });
  auto terminating = backends_if(endpoints, [&](const PortEndpoint& endpoint) {
    return endpoint.serving_terminating() && is_local(*endpoint.placement, node);
  });
  const bool usable_elsewhere =
      std::any_of(endpoints.begin(), endpoints.end(), [](const PortEndpoint& endpoint) {
        return endpoint.ready || endpoint.serving_terminating();
      });
  return unkeyed_plan(std::move(ready), std::move(terminating),
                      usable_elsewhere ? Verdict::Drop : Verdict::Reject);
}

TrafficPlan keyed_traffic(const std::vector<PortEndpoint>& endpoints, KeyMatcher& matcher) {
  std::vector<KeyMask> ready(endpoints.size(), 0);
  std::vector<KeyMask> terminating;  // as many, if there is one
  for (std::size_t i = 0; i < endpoints.size(); ++i) {
    if (endpoints[i].ready) {
      ready[i] = matcher.matches(endpoints[i]);
    } else if (endpoints[i].serving_terminating()) {
      const KeyMask matched = matcher.matches(endpoints[i]);
      if (matched == 0) continue;
      terminating.resize(endpoints.size(), 0);
      terminating[i] = matched;
    }
  }
  const bool any_terminating = !terminating.empty();
  TrafficPlan plan;
  plan.has_keys = true;
  plan.tiers = tiers_of(endpoints, ready, matcher.keys());
  if (any_terminating) plan.terminating_tiers = tiers_of(endpoints, terminating, matcher.keys());
  plan.verdict = any_terminating || any_backend(plan.tiers) ? Verdict::Forward : Verdict::Reject;
  return plan;
}

}  // namespace topolb::core
