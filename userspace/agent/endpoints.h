// SPDX-License-Identifier: Apache-2.0
// What the agent says on /healthz, /readyz, /metrics, /v1/status, /v1/problems.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "agent/http_server.h"
#include "agent/proxy_metrics.h"
#include "agent/status_board.h"
#include "dataplane/datapath.h"

namespace topolb::agent {

/// In a thread of its own.
HttpReply answer(std::string_view path, const StatusBoard& board,
                 const dataplane::Datapath& datapath, ProxyMetrics& metrics);

/// While the loop turns; not when it has not for a minute, so that changes may be waiting.
bool is_healthy(std::uint64_t heartbeat_ns, std::uint64_t now_ns);
/// What load balancers ask of the node, in kube-proxy's form: 503 also when the node is about to
/// go. Source: KEP-3836; kube-proxy's healthcheck.ProxyHealthServer.
HttpReply healthz_reply(const Status& status, std::uint64_t now_ns);
/// What the kubelet asks of the agent, in kube-proxy's form.
HttpReply livez_reply(const Status& status, std::uint64_t now_ns);
/// 200 from the first complete state on, whatever becomes of the API server: the kernel goes on.
/// Says how old what is known of each kind is.
HttpReply readyz_reply(const Status& status);
std::string status_json(const Status& status);
std::string problems_json(const Status& status);

}  // namespace topolb::agent
