// SPDX-License-Identifier: Apache-2.0
// The network namespaces of this machine, as far as they can be found.
#pragma once

#include <functional>

namespace topolb::dataplane {

/// Calls `visit` with a descriptor of each, in no order, none twice: those of the processes in
/// /proc, and those that have a name in /run/netns, as containerd, CRI-O and ip-netns(8) give it.
/// One descriptor at a time: there may be thousands, and nobody's end is put off. What this process
/// may not look at is left out. False from `visit` ends it.
void for_each_network_namespace(const std::function<bool(int fd)>& visit);

}  // namespace topolb::dataplane
