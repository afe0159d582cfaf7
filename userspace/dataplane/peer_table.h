// SPDX-License-Identifier: Apache-2.0
// The peers array: which frontend and backend each connected socket has. BPF programs alone write
// it (bpf/lb_peers.bpf.h).
#pragma once

#include <cstdint>
#include <vector>

#include "dataplane/bpf_map.h"
#include "maps/layout.h"

namespace topolb::dataplane {

/// Lines of the array for so many sockets.
std::uint32_t peer_lines_for(std::uint32_t sockets);

/// Those of open sockets, in no order. One that is just being opened may be half written.
std::vector<topolb_peer> live_peers(const MappedArray<topolb_peer_line>& lines);

}  // namespace topolb::dataplane
