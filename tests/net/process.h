// SPDX-License-Identifier: Apache-2.0
// Programs as a test runs them: started, watched by what they write, waited for, never left behind.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "util/unique_fd.h"

namespace topolb::test {

/// Longer than anything takes on any machine: only a test that fails waits so long.
inline constexpr std::chrono::seconds kDeadline{30};

/// Until `condition` holds. False: it did not before the deadline.
bool wait_until(const std::function<bool()>& condition);

/// A running program. Killed and reaped when destroyed; killed when this process dies.
class Process {
 public:
  /// In the child, before the program: false ends the child with exit code 125.
  using Preparation = std::function<bool()>;

  /// A name without a slash is looked up in PATH; another one need not be reachable to the user
  /// that `prepare` changes to. Throws std::runtime_error when there is no such program.
  explicit Process(const std::vector<std::string>& command, const Preparation& prepare = {});
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }
  void signal(int number) const;
  /// The exit code, or the signal that ended it, negated. None: it runs on after the deadline.
  std::optional<int> wait();

  /// What it has written so far; all of it after wait().
  [[nodiscard]] std::string out() const;
  [[nodiscard]] std::string err() const;
  /// The lines of err() that hold `part`, without their ends.
  [[nodiscard]] std::vector<std::string> lines(const std::string& part = "") const;
  /// Until err() holds `part`; false at once when the program ends without.
  bool wait_for(const std::string& part) const;

 private:
  void read_output();

  pid_t pid_ = -1;
  UniqueFd pidfd_;
  UniqueFd out_pipe_;
  UniqueFd err_pipe_;
  mutable std::mutex mutex_;  // what follows
  mutable std::condition_variable changed_;
  std::string out_;
  std::string err_;
  bool ended_ = false;  // it can write no more
  std::optional<int> exit_;
  std::thread reader_;
};

/// What a program left that has run to its end.
struct Outcome {
  std::optional<int> exit_code;
  std::string out;
  std::string err;
};
Outcome run_to_end(const std::vector<std::string>& command,
                   const Process::Preparation& prepare = {});

std::vector<std::string> lines_of(const std::string& text);

}  // namespace topolb::test
