// SPDX-License-Identifier: Apache-2.0
// The live rows of each pinned map, decoded.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "cli/kernel_view.h"
#include "cli/records.h"

namespace topolb::cli {

/// The rows of the tables that are written without marks of what is live: reached from the
/// Services, as the kernel would.
struct LiveRows {
  struct Use {
    const dataplane::KernelService* service = nullptr;
    std::vector<std::string> traffic;  // of "internal", "external", "node_external"
  };
  struct Line {
    std::uint32_t set_id = 0;  // the head of the chain
    std::vector<std::uint32_t> backend_ids;
  };
  std::map<std::uint32_t, Use> sets;    // by set id, chained ones too
  std::map<std::uint32_t, Line> lines;  // slots, by line
  std::uint32_t counters = 0;
};
LiveRows live_rows(const KernelSnapshot& kernel);

/// Which Service ports have a backend in some tier, sorted by key; by backend id.
using BackendUsers = std::map<std::uint32_t, std::vector<const dataplane::KernelService*>>;
BackendUsers backend_users(const KernelSnapshot& kernel);

/// How many entries of a map are live, by the name of its pin.
std::uint32_t live_entries(const KernelSnapshot& kernel, const LiveRows& live,
                           const std::string& map_name);

/// The maps that decode_map() knows, by the names of their pins; sorted.
std::vector<std::string> decodable_maps();
/// @pre `map_name` is one of decodable_maps().
Records decode_map(const KernelSnapshot& kernel, const std::string& map_name);
Records list_backends(const KernelSnapshot& kernel);

}  // namespace topolb::cli
