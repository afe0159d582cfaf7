// SPDX-License-Identifier: Apache-2.0
// Services of the kernel, as tables and JSON.
#pragma once

#include <ostream>
#include <vector>

#include "cli/kernel_view.h"

namespace topolb::cli {

/// One row each: where its traffic goes.
void print_service_list(std::ostream& out, const std::vector<ServiceView>& services);
/// The keys of the plan's JSON, and "id", "affinity_timeout_seconds", "known_backends".
Json service_summary_json(const ServiceView& service);

/// Everything: ids, tiers, states, connections.
void print_service(std::ostream& out, const ServiceView& service);
Json service_json(const ServiceView& service);

}  // namespace topolb::cli
