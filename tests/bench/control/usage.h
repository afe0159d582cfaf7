// SPDX-License-Identifier: Apache-2.0
// What this process has used, as the kernel counts it.
#pragma once

namespace topolb::bench {

struct Usage {
  double cpu_ms = 0;          // user and system, all threads
  double instructions_m = 0;  // millions, user mode; 0: this machine does not count them
  double wall_ms = 0;

  static Usage now();
  Usage operator-(const Usage& before) const;
};

/// In MB (10^6 bytes).
struct Memory {
  double resident = 0;
  double anonymous = 0;  // of it: heap and stacks; the rest is program text and mapped maps
  double peak = 0;       // resident

  static Memory now();
};

}  // namespace topolb::bench
