// SPDX-License-Identifier: Apache-2.0
#include "dataplane/grace_period.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <thread>

namespace topolb::dataplane {

void wait_for_running_programs() {
  if (::syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) == 0) return;
  // Kernels with nohz_full CPUs refuse it. A program runs for microseconds and can't sleep; this is
  // far longer than the scheduler can keep one waiting.
  std::this_thread::sleep_for(std::chrono::seconds(1));
}

}  // namespace topolb::dataplane
