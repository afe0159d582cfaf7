// SPDX-License-Identifier: Apache-2.0
#include "support/plans.h"

#include <algorithm>

#include "support/sockets.h"

namespace topolb::test {
namespace {

std::vector<core::Tier> tiers_of(const std::vector<TierSpec>& specs) {
  std::vector<core::Tier> tiers;
  for (const auto& spec : specs) {
    core::Tier tier{.key = spec.key, .backends = {}};
    for (const auto& backend : spec.backends) tier.backends.push_back(socket_address(backend));
    std::sort(tier.backends.begin(), tier.backends.end());
    tiers.push_back(std::move(tier));
  }
  return tiers;
}

}  // namespace

core::TrafficPlan traffic(const std::vector<TierSpec>& tiers,
                          const std::vector<TierSpec>& terminating) {
  core::TrafficPlan plan{.verdict = core::Verdict::Reject,
                         .tiers = tiers_of(tiers),
                         .terminating_tiers = tiers_of(terminating),
                         .has_keys = !tiers.empty() && !tiers.front().key.empty()};
  for (const auto* list : {&plan.tiers, &plan.terminating_tiers}) {
    for (const auto& tier : *list) {
      if (!tier.backends.empty()) plan.verdict = core::Verdict::Forward;
    }
  }
  return plan;
}

core::TrafficPlan refused(core::Verdict verdict) {
  return {.verdict = verdict, .tiers = {}, .terminating_tiers = {}, .has_keys = false};
}

core::ServicePortPlan service(const std::string& name, const std::string& cluster_ip_and_port,
                              Protocol protocol, core::TrafficPlan internal) {
  const auto dialled = socket_address(cluster_ip_and_port);
  core::ServicePortPlan plan;
  plan.key = {.service = {"default", name},
              .port = dialled.port,
              .protocol = protocol,
              .family = dialled.address.family()};
  plan.frontends = {{core::FrontendKind::ClusterIP, dialled.address, dialled.port}};
  plan.internal = std::move(internal);
  return plan;
}

void add_frontend(core::ServicePortPlan& plan, core::FrontendKind kind, const std::string& address,
                  core::TrafficPlan node_external) {
  const auto dialled = socket_address(address);
  plan.frontends.push_back({kind, dialled.address, dialled.port});
  std::sort(plan.frontends.begin(), plan.frontends.end());
  plan.external = node_external;
  plan.node_external = std::move(node_external);
}

void add_local_backends(core::ServicePortPlan& plan, const std::vector<std::string>& local) {
  for (const auto& backend : local) plan.local_backends.push_back(socket_address(backend));
  std::sort(plan.local_backends.begin(), plan.local_backends.end());
}

}  // namespace topolb::test
