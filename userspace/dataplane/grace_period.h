// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace topolb::dataplane {

/// Returns when every BPF program that was running at the call has ended. Programs of the socket
/// and TC hooks run inside an RCU read-side section, so this is an RCU grace period; it takes
/// some 10 ms. Source: membarrier(2), MEMBARRIER_CMD_GLOBAL (synchronize_rcu in the kernel).
void wait_for_running_programs();

}  // namespace topolb::dataplane
