// SPDX-License-Identifier: Apache-2.0
// What the agent says on /healthz, /readyz, /metrics, /v1/status, /v1/problems.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "agent/http_server.h"
#include "agent/status_board.h"
#include "dataplane/kernel_maps.h"

namespace topolb::agent {

HttpReply answer(std::string_view path, const StatusBoard& board,
                 const dataplane::KernelMaps& maps);

/// While the loop turns; not when it has not for a minute, so that changes may be waiting.
bool is_healthy(std::uint64_t heartbeat_ns, std::uint64_t now_ns);
/// The body of /healthz, in kube-proxy's form.
std::string health_json(const Status& status, std::uint64_t now_ns);
std::string status_json(const Status& status);
std::string problems_json(const Status& status);

}  // namespace topolb::agent
