// SPDX-License-Identifier: Apache-2.0
// The network namespaces of this machine, as far as they can be found.
#pragma once

#include <vector>

#include "util/unique_fd.h"

namespace topolb::dataplane {

/// A descriptor of each, in no order, none twice: those of the processes in /proc, and those that
/// have a name in /run/netns, as containerd, CRI-O and ip-netns(8) give it. What this process may
/// not look at is left out.
std::vector<UniqueFd> find_network_namespaces();

}  // namespace topolb::dataplane
