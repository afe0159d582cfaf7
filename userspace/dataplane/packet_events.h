// SPDX-License-Identifier: Apache-2.0
// The packet_events map: what happened on the per-packet path since its maps were made.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "maps/packet_events.h"
#include "util/result.h"
#include "util/unique_fd.h"

namespace topolb::dataplane {

/// One of TOPOLB_EVENT_*, summed over the CPUs.
struct PacketEvent {
  std::string name;  // "flow_opened"
  std::uint64_t count = 0;
};

/// In the order of the map. Error: the descriptor is not that of such a map.
Result<std::vector<PacketEvent>> read_packet_events(int fd);

}  // namespace topolb::dataplane
