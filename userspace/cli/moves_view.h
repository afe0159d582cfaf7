// SPDX-License-Identifier: Apache-2.0
// What a change of a Service's topology keys moves, for `topolb topology set --dry-run`.
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "cli/json.h"
#include "core/traffic_spread.h"

namespace topolb::cli {

struct MovesView {
  std::vector<std::string> nodes;      // names by number
  std::vector<core::PortMoves> ports;  // sorted by key
};

void print_moves(std::ostream& out, const MovesView& view);
Json to_json(const core::PortMoves& port, const MovesView& view);

}  // namespace topolb::cli
