// SPDX-License-Identifier: Apache-2.0
// The Service ports and frontends that a Service object asks for. Private to core.
#pragma once

#include <vector>

#include "core/plan.h"

namespace topolb::core {

/// One entry of spec.ports in one family: what becomes a ServicePortPlan.
struct ServicePortOfFamily {
  const ServicePort* port = nullptr;
  Family family = Family::IPv4;
};

/// Whether an earlier port of the Service has the number and protocol of this one of its ports.
bool is_repeated(const Service& service, const ServicePort& port);

/// Sorted as ServicePortKey is, without repeated ports. As kube-proxy, the families are those of
/// the cluster IPs.
std::vector<ServicePortOfFamily> service_ports_of(const Service& service);

/// Sorted; of two kinds on one address and port the first kind only.
std::vector<Frontend> frontends_of(const Service& service, const ServicePort& port, Family family);

bool has_external_frontend(const std::vector<Frontend>& frontends);

}  // namespace topolb::core
