// SPDX-License-Identifier: Apache-2.0
#include "dataplane/peer_table.h"

namespace topolb::dataplane {

std::uint32_t peer_lines_for(std::uint32_t sockets) {
  return (sockets + TOPOLB_PEERS_PER_LINE - 1) / TOPOLB_PEERS_PER_LINE;
}

std::vector<topolb_peer> live_peers(const MappedArray<topolb_peer_line>& lines) {
  std::vector<topolb_peer> live;
  for (const auto& line : lines.rows()) {
    for (std::uint32_t way = 0; way < TOPOLB_PEERS_PER_LINE; ++way) {
      if (line.sockets[way] != 0) live.push_back(line.peers[way]);
    }
  }
  return live;
}

}  // namespace topolb::dataplane
