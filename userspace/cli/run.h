// SPDX-License-Identifier: Apache-2.0
// The topolb command line as a function.
#pragma once

#include <ostream>

namespace topolb::cli {

/// Runs one command and returns the exit code (command.h). Results go to `out`; an error is one
/// line on `err`.
int run(int argc, const char* const* argv, std::ostream& out, std::ostream& err);

}  // namespace topolb::cli
