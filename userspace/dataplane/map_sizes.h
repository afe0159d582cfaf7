// SPDX-License-Identifier: Apache-2.0
// How large the maps are to be. Pure, no kernel.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/cluster_state.h"
#include "maps/limits.h"

namespace topolb::dataplane {

/// Entries of the maps (docs/limits.md: bytes per entry); by default the most that they may have.
struct MapSizes {
  std::uint32_t frontends = TOPOLB_MAX_FRONTENDS;
  std::uint32_t services = TOPOLB_MAX_SERVICES;
  std::uint32_t sets = TOPOLB_MAX_SETS;
  std::uint32_t slot_lines = TOPOLB_MAX_SLOT_LINES;
  std::uint32_t backends = TOPOLB_MAX_BACKENDS;
  std::uint32_t affinities = TOPOLB_MAX_AFFINITIES;
  std::uint32_t counters = TOPOLB_MAX_COUNTERS;
  std::uint32_t source_ranges = TOPOLB_MAX_SOURCE_RANGES;
  std::uint32_t sockets = TOPOLB_DEFAULT_SOCKETS;

  bool operator==(const MapSizes&) const = default;
};

/// The least that a plan can be published and changed in, with some room for what is replaced, and
/// for pods that terminate. Of affinities all that there may be, or hardly any when no Service has
/// it; of source_ranges all; sockets are 0, as they don't depend on the plan.
MapSizes sizes_needed(const std::vector<core::SharedPlan>& plan);

/// How many entries a map that a plan needs room in may get, by its name; in what MapFill counts.
std::map<std::string, std::uint32_t> limits_by_map(const MapSizes& limits);

/// max_entries by the name of each map that a plan needs room in.
std::map<std::string, std::uint32_t> entries_by_map(const MapSizes& sizes);

/// The maps of entries_by_map() when one of them is too small: `present` entries each now, none
/// yet if there are no maps. Such that are there grow by half more than what is needed, so that a
/// cluster that grows steadily has them made anew now and then only. Never more than `limits`,
/// never fewer than `present`; empty if nothing has to grow, or nothing can. Without such as go by
/// no ids of other maps' rows and suffice: those stay.
std::map<std::string, std::uint32_t> grown_entries(
    const std::map<std::string, std::uint32_t>& present, const MapSizes& needed,
    const MapSizes& limits);

}  // namespace topolb::dataplane
