// SPDX-License-Identifier: Apache-2.0
// The handlers of the command table. Each returns the exit code.
#pragma once

#include "cli/command.h"

namespace topolb::cli {

int run_plan(const Invocation& call);
int run_check(const Invocation& call);
int run_explain(const Invocation& call);
int run_topology_get(const Invocation& call);
int run_topology_set(const Invocation& call);
int run_topology_unset(const Invocation& call);
int run_status(const Invocation& call);
int run_service_list(const Invocation& call);
int run_service_show(const Invocation& call);
int run_backend_list(const Invocation& call);
int run_flow_list(const Invocation& call);
int run_map_list(const Invocation& call);
int run_map_dump(const Invocation& call);
int run_cleanup(const Invocation& call);
int run_completion(const Invocation& call);
int run_help(const Invocation& call);
int run_version(const Invocation& call);

}  // namespace topolb::cli
