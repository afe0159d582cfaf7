// SPDX-License-Identifier: Apache-2.0
// How long to wait before the next try. Pure.
#pragma once

#include <chrono>

namespace topolb::kube {

class Backoff {
 public:
  /// The wait after one more failure in a row: none after the first, then 200 ms doubled each
  /// time up to `cap`, times 0.5 to 1.5 by `random` (0 <= random < 1), so that agents that lost
  /// the same server do not come back together.
  std::chrono::milliseconds next(std::chrono::milliseconds cap, double random);
  void reset() { failures_ = 0; }
  [[nodiscard]] unsigned failures() const { return failures_; }

 private:
  unsigned failures_ = 0;
};

}  // namespace topolb::kube
