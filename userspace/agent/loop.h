// SPDX-License-Identifier: Apache-2.0
// Waits for whatever happens to the agent: changed objects, changed node addresses, signals, time.
#pragma once

#include <cstdint>
#include <functional>
#include <map>

#include "util/result.h"
#include "util/unique_fd.h"

namespace topolb::agent {

/// An epoll loop with one handler per readable descriptor. One thread.
class Loop {
 public:
  static Result<Loop> create();

  /// `handler` is called whenever `fd` is readable; its error ends run(). The caller keeps the
  /// descriptor open.
  Result<void> watch(int fd, std::function<Result<void>()> handler);
  /// Calls `handler` once, `milliseconds` from now; a later call for the same loop moves it.
  void schedule(std::uint32_t milliseconds, std::function<void()> handler);
  /// Calls `handler` every second.
  void every_second(std::function<void()> handler) { tick_ = std::move(handler); }

  /// Runs until SIGTERM or SIGINT (blocked in this thread from create() on; threads made later
  /// inherit that).
  Result<void> run();

 private:
  UniqueFd epoll_;
  UniqueFd signals_;
  UniqueFd timer_;
  UniqueFd ticker_;
  std::map<int, std::function<Result<void>()>> handlers_;
  std::function<void()> scheduled_;
  std::function<void()> tick_;
};

}  // namespace topolb::agent
