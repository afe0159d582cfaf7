// SPDX-License-Identifier: Apache-2.0
// Runs a program for what it prints.
#pragma once

#include <chrono>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "util/result.h"

namespace topolb::kube {

struct Program {
  std::vector<std::string> argv;                         // argv[0] is looked up in PATH
  std::vector<std::pair<std::string, std::string>> env;  // over this process's own
  std::chrono::milliseconds timeout{60000};
};

/// Its standard output; it gets no input. Error: not found, not exit code 0 (with the last line
/// that it wrote to standard error), too slow, or `stop`; then it is killed.
Result<std::string> run_program(const Program& program, const std::stop_token& stop);

}  // namespace topolb::kube
