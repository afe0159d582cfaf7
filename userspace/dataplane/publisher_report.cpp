// SPDX-License-Identifier: Apache-2.0
// What a publisher says of its maps: what found no room in them, and how full they are.
#include <fmt/format.h>

#include <algorithm>

#include "dataplane/publisher.h"

namespace topolb::dataplane {
namespace {

// Rows for what is replaced.
constexpr std::uint32_t kLeastRoom = 64;

core::Problem problem_of(const core::ServicePortKey& key, const std::string& what,
                         const Error& error) {
  const bool full = error.code == std::errc::no_space_on_device ||
                    error.code == std::errc::argument_list_too_long;  // E2BIG of a full hash
  return {.kind = "Service",
          .namespace_name = key.service.namespace_name,
          .name = key.service.name,
          .reason = full ? "MapFull" : "NotProgrammed",
          .message = fmt::format("{} of port {}/{} ({}) is not programmed: {}", what, key.port,
                                 to_string(key.protocol), to_string(key.family), error.message())};
}

}  // namespace

std::vector<core::Problem> Publisher::problems() const {
  std::vector<core::Problem> problems;
  for (const auto& [key, failed] : unpublished_) {
    problems.push_back(problem_of(key, "the newest state", failed.second));
  }
  for (const auto& [key, error] : unadded_) {
    const SocketAddress dialled{key.second.address, key.second.port};
    problems.push_back(problem_of(key.first, "frontend " + dialled.to_string(), error));
  }
  std::sort(problems.begin(), problems.end());
  return problems;
}

std::vector<MapFill> Publisher::fill() const {
  return {{"backends", writer_.backends().live(), maps_.backends.capacity()},
          {"counters", counter_ids_.in_use(), maps_.counters.capacity()},
          {"frontends", frontends_.in_use(), frontends_.capacity()},
          {"service_names", service_ids_.in_use(), maps_.service_names.capacity()},
          {"sets", writer_.sets().in_use(), maps_.sets.capacity()},
          {"slots", writer_.lines().in_use(), maps_.slots.capacity()},
          {"source_ranges", source_ranges_.in_use(), maps_.source_ranges.capacity()},
          {"topology_keys", writer_.keys().in_use(), maps_.topology_keys.capacity()}};
}

bool Publisher::is_short_of_room(const MapSizes& limits) const {
  if (!unpublished_.empty() || !unadded_.empty()) return true;
  if (has_affinity_ && maps_.affinities.capacity() < limits.affinities) return true;
  const auto most = limits_by_map(limits);
  const auto maps = fill();
  return std::any_of(maps.begin(), maps.end(), [&](const MapFill& map) {
    const auto limit = most.find(map.name);
    return limit != most.end() && map.capacity < limit->second &&
           map.used + kLeastRoom > map.capacity;
  });
}

void Publisher::add_refused(MapSizes& needed) const {
  const auto raise = [](std::uint32_t& size, std::uint32_t capacity, std::uint32_t refused) {
    if (refused > 0) size = std::max(size, capacity + refused);
  };
  raise(needed.services, service_ids_.capacity(), service_ids_.refused());
  raise(needed.counters, counter_ids_.capacity(), counter_ids_.refused());
  raise(needed.slot_lines, writer_.lines().capacity(), writer_.lines().refused());
  raise(needed.frontends, frontends_.capacity(), frontends_.refused());
}

std::vector<std::uint16_t> Publisher::node_ports() const {
  std::vector<std::uint16_t> ports;
  ports.reserve(node_ports_.size());
  for (const auto& [port, count] : node_ports_) ports.push_back(port);
  return ports;
}

}  // namespace topolb::dataplane
