// SPDX-License-Identifier: Apache-2.0
// How large and how full the pinned maps are.
#pragma once

#include <string>
#include <vector>

#include "cli/kernel_view.h"
#include "cli/records.h"

namespace topolb::cli {

struct MapFacts {
  std::string name;
  std::string type;  // "lru_hash"
  std::uint32_t entries = 0;
  std::uint32_t max_entries = 0;
  std::uint32_t key_bytes = 0;
  std::uint32_t value_bytes = 0;   // on all CPUs
  std::uint32_t entry_bytes = 0;   // an array does not store its keys
  std::uint64_t memory_bytes = 0;  // as the kernel accounts it now
};

/// Sorted by name. A map that cannot be asked is left out.
std::vector<MapFacts> map_facts(const KernelSnapshot& kernel, const std::string& pin_path);

/// As columns "name", "type", "entries", "max_entries" and, if `sizes`, the bytes.
Records map_records(const std::vector<MapFacts>& maps, bool sizes);

}  // namespace topolb::cli
