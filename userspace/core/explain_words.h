// SPDX-License-Identifier: Apache-2.0
// The planner's decisions in words. Private to core.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/plan.h"
#include "core/traffic.h"

namespace topolb::core {

/// One kind of traffic to one Service port: what was decided, and from what.
struct Situation {
  const std::vector<PortEndpoint>& endpoints;
  const TopologyKeys& keys;
  const NodeView& node;
  const TrafficPlan& plan;
  std::string_view local_policy;  // the name of the traffic policy that is Local, or ""
  HintUse hints;
};

/// Why this verdict, from this tier.
std::string traffic_reason(const Situation& situation);
/// Why a chosen endpoint is in.
std::string reason_in(const Placement& placement, const Situation& situation);
/// Why an endpoint that is not chosen is out. `first_key`: the first that it matches, or "".
std::string reason_out(const PortEndpoint& endpoint, std::string_view first_key,
                       const Situation& situation);

}  // namespace topolb::core
