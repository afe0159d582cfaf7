// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "core/cluster_state.h"

namespace topolb::agent {

/// One operation in one line of words: what a person wants to read in the log.
std::string describe(const core::Operation& operation);

}  // namespace topolb::agent
