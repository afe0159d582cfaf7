// SPDX-License-Identifier: Apache-2.0
// A client of the benchmark: does what it is told, and tells how long it took.
#pragma once

#include <string>
#include <vector>

#include "traffic_operations.h"

namespace topolb::bench {

/// Each file of targets has an IPv4 address and port a line. Obeys lines on stdin:
///   WORKLOAD TARGETS OPERATIONS MILLISECONDS THREADS
/// TARGETS: index of a file; each operation takes a random one of its lines. It ends after so many
/// operations of a thread or so much time. Answers, in ns, what an operation took of the CPU, all
/// threads together, how long all took, and how long each one did:
///   CPU ELAPSED LATENCY...
/// or "failed: " and why; and "ok" when it has read the files. Returns at the end of stdin; throws
/// std::runtime_error.
void obey_orders(const ServerSockets& server, const std::vector<std::string>& target_files);

}  // namespace topolb::bench
