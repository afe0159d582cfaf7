// SPDX-License-Identifier: Apache-2.0
// Short ways to write down plans for tests of the dataplane.
#pragma once

#include <string>
#include <vector>

#include "core/plan.h"

namespace topolb::test {

/// {"kubernetes.io/hostname", {"10.1.0.1:80"}}; the key "" stands for no topology keys.
struct TierSpec {
  std::string key;
  std::vector<std::string> backends;
};

core::TrafficPlan traffic(const std::vector<TierSpec>& tiers,
                          const std::vector<TierSpec>& terminating = {});
core::TrafficPlan refused(core::Verdict verdict);

/// Service default/NAME with one ClusterIP frontend, "10.96.0.1:80".
core::ServicePortPlan service(const std::string& name, const std::string& cluster_ip_and_port,
                              Protocol protocol, core::TrafficPlan internal);
/// Adds an external frontend; `plan` serves it from outside and from this node.
void add_frontend(core::ServicePortPlan& plan, core::FrontendKind kind, const std::string& address,
                  core::TrafficPlan node_external);

/// Those of `local` that are backends of the plan are on this node.
void add_local_backends(core::ServicePortPlan& plan, const std::vector<std::string>& local);

}  // namespace topolb::test
