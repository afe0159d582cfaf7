// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "agent/proxy_metrics.h"
#include "agent/status_board.h"
#include "dataplane/kernel_maps.h"

namespace topolb::agent {

/// Everything that /metrics says, in Prometheus' text format. Reads the counters of every Service
/// from the kernel. Thread-safe against the loop: it only reads.
std::string render_metrics(const Status& status, const dataplane::KernelMaps& maps,
                           const ProxyMetrics& metrics);

}  // namespace topolb::agent
