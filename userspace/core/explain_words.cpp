// SPDX-License-Identifier: Apache-2.0
#include "core/explain_words.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace topolb::core {
namespace {

constexpr std::string_view kOnlyTerminating =
    "no ready endpoint qualifies, so those that still serve while they terminate";

// The deciding tier is one of the fallback's.
bool falls_back(const TrafficPlan& plan) {
  return plan.effective() != nullptr &&
         std::all_of(plan.tiers.begin(), plan.tiers.end(),
                     [](const Tier& tier) { return tier.backends.empty(); });
}

bool any_usable(const std::vector<PortEndpoint>& endpoints) {
  return std::any_of(endpoints.begin(), endpoints.end(), [](const PortEndpoint& endpoint) {
    return endpoint.ready || endpoint.serving_terminating();
  });
}

std::string nothing_usable(const Situation& situation) {
  return situation.endpoints.empty() ? "the port has no endpoints" : "no endpoint is ready";
}

std::string key_and_value(std::string_view key, const NodeView& node) {
  if (key == kAnyTopology) return "* (any endpoint)";
  const std::string* value = label_of(node, node.node_name, key);
  return value == nullptr ? std::string(key) : fmt::format("{}={}", key, *value);
}

std::string keyed_reason(const Situation& situation) {
  const std::vector<std::string>& keys = situation.keys.keys;
  const Tier* tier = situation.plan.effective();
  if (tier == nullptr) {
    if (!any_usable(situation.endpoints)) return nothing_usable(situation);
    return fmt::format("no usable endpoint matches a topology key ({})", fmt::join(keys, ", "));
  }
  const auto position = std::find(keys.begin(), keys.end(), tier->key) - keys.begin();
  std::string reason = fmt::format("tier {} of {}: {}", position + 1, keys.size(),
                                   key_and_value(tier->key, situation.node));
  if (falls_back(situation.plan)) reason += fmt::format("; {}", kOnlyTerminating);
  return reason;
}

std::string local_reason(const Situation& situation) {
  std::string what = "the ready endpoints on this node";
  if (situation.plan.verdict == Verdict::Drop) {
    what = "no usable endpoint on this node, but on others";
  } else if (situation.plan.verdict == Verdict::Reject) {
    what = nothing_usable(situation);
  } else if (falls_back(situation.plan)) {
    what = fmt::format("{} on this node", kOnlyTerminating);
  }
  return fmt::format("{} Local: {}", situation.local_policy, what);
}

// Hints are all-or-nothing, which surprises people: say why they have no effect.
std::string unused_hints(const Situation& situation) {
  bool any_hint = false;
  const PortEndpoint* without_zone_hint = nullptr;
  for (const PortEndpoint& endpoint : situation.endpoints) {
    if (!endpoint.ready) continue;
    const Placement& placement = *endpoint.placement;
    any_hint = any_hint || !placement.node_hints.empty() || !placement.zone_hints.empty();
    if (placement.zone_hints.empty() && without_zone_hint == nullptr) without_zone_hint = &endpoint;
  }
  if (!any_hint) return {};
  if (without_zone_hint != nullptr) {
    return fmt::format("; hints are not used: {} has no zone hint",
                       without_zone_hint->backend.to_string());
  }
  const std::string* zone = label_of(situation.node, situation.node.node_name, kZoneLabel);
  if (zone == nullptr) return "; hints are not used: this node has no zone label";
  return fmt::format("; hints are not used: none is for this zone {}", *zone);
}

std::string cluster_reason(const Situation& situation) {
  if (situation.plan.verdict != Verdict::Forward) return nothing_usable(situation);
  if (falls_back(situation.plan)) return std::string(kOnlyTerminating);
  switch (situation.hints) {
    case HintUse::ForNodes:
      return fmt::format("the ready endpoints hinted for node {}", situation.node.node_name);
    case HintUse::ForZones:
      return fmt::format("the ready endpoints hinted for zone {}",
                         *label_of(situation.node, situation.node.node_name, kZoneLabel));
    case HintUse::None:
      break;
  }
  return "all ready endpoints" + unused_hints(situation);
}

// Why the endpoint does not match this one key.
std::string mismatch(const Placement& placement, std::string_view key, const NodeView& node) {
  const std::string* own_value = label_of(node, node.node_name, key);
  if (own_value == nullptr) return fmt::format("this node has no label {}", key);
  const std::string* value = label_of(node, placement.node_name, key);
  if (value != nullptr) {
    return fmt::format("label {} is {} on its node, {} here", key, *value, *own_value);
  }
  const bool known = is_on_known_node(placement, node);
  if (known) return fmt::format("its node {} has no label {}", placement.node_name, key);
  if (key == kZoneLabel && !placement.zone.empty()) {
    return fmt::format("its zone is {}, {} here", placement.zone, *own_value);
  }
  if (placement.node_name.empty()) return fmt::format("it has no node to compare {} with", key);
  return fmt::format("its node {} is unknown", placement.node_name);
}

std::string all_mismatches(const Placement& placement, const Situation& situation) {
  std::vector<std::string> reasons;
  for (const std::string& key : situation.keys.keys) {
    std::string reason = mismatch(placement, key, situation.node);
    if (reasons.empty() || reasons.back() != reason) reasons.push_back(std::move(reason));
  }
  return fmt::format("{}", fmt::join(reasons, "; "));
}

std::string hinted_for(const Placement& placement, HintUse use) {
  const bool for_nodes = use == HintUse::ForNodes;
  return fmt::format("hinted for {} {}", for_nodes ? "node" : "zone",
                     fmt::join(for_nodes ? placement.node_hints : placement.zone_hints, ", "));
}

std::string elsewhere(const Placement& placement, std::string_view local_policy) {
  return placement.node_name.empty()
             ? fmt::format("{} Local: it has no node", local_policy)
             : fmt::format("{} Local: it is on node {}", local_policy, placement.node_name);
}

}  // namespace

std::string traffic_reason(const Situation& situation) {
  if (!situation.keys.valid()) {
    return fmt::format("{}: {}", situation.keys.problem_reason, situation.keys.problem_message);
  }
  if (situation.plan.has_keys) return keyed_reason(situation);
  return situation.local_policy.empty() ? cluster_reason(situation) : local_reason(situation);
}

std::string reason_in(const Placement& placement, const Situation& situation) {
  std::string reason = "ready";
  if (situation.plan.has_keys) {
    reason = "matches " + key_and_value(situation.plan.effective()->key, situation.node);
  } else if (!situation.local_policy.empty()) {
    reason = "on this node";
  } else if (falls_back(situation.plan)) {
    return "terminating, and no ready one exists";
  } else if (situation.hints != HintUse::None) {
    reason = hinted_for(placement, situation.hints);
  }
  return falls_back(situation.plan) ? reason + "; terminating, and no ready one qualifies" : reason;
}

std::string reason_out(const PortEndpoint& endpoint, std::string_view first_key,
                       const Situation& situation) {
  const Placement& placement = *endpoint.placement;
  const TrafficPlan& plan = situation.plan;
  if (!endpoint.ready && !endpoint.serving_terminating()) {
    return endpoint.terminating ? "terminating, and no longer serving" : "not ready";
  }
  if (!situation.keys.valid()) return "the Service's topology keys are refused";
  if (plan.has_keys) {
    if (first_key.empty()) return all_mismatches(placement, situation);
    if (!endpoint.ready && !falls_back(plan)) return "terminating, and ready ones exist";
    return fmt::format("nearer tier {} has backends", plan.effective()->key);
  }
  if (!situation.local_policy.empty() && !is_local(placement, situation.node)) {
    return elsewhere(placement, situation.local_policy);
  }
  if (!endpoint.ready) return "terminating, and ready ones exist";
  return hinted_for(placement, situation.hints);
}

}  // namespace topolb::core
