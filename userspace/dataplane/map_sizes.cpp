// SPDX-License-Identifier: Apache-2.0
#include "dataplane/map_sizes.h"

#include <algorithm>
#include <string_view>

#include "dataplane/frontend_table.h"
#include "dataplane/kernel_maps.h"
#include "dataplane/publisher.h"
#include "dataplane/service_names.h"
#include "dataplane/set_writer.h"

namespace topolb::dataplane {
namespace {

// What is replaced has its rows until a grace period is over, which the agent waits for when there
// is no other room: for one in more than a hundred changes.
constexpr std::uint32_t kRoomForChanges = 192;
constexpr std::uint32_t kRoomForLargestTier = 128;
// An LRU hash that nobody writes to.
constexpr std::uint32_t kNoAffinities = 16;
// How many clients there will be, nobody knows; ranges take memory only as they come.
constexpr std::uint32_t kAsManyAsMayBe = 1U << 24U;

std::uint32_t with_room(std::size_t entries) {
  return static_cast<std::uint32_t>(entries + entries / 128 + kRoomForChanges);
}

/// Backends of all Services, each counted once: sorts hashes of them, which is quicker and smaller
/// than a set.
class BackendCount {
 public:
  void add(const std::vector<SocketAddress>& backends, Protocol protocol) {
    for (const auto& backend : backends) {
      const auto& bytes = backend.address.bytes();
      const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
      const auto rest = std::uint64_t{backend.port} << 8U | static_cast<std::uint8_t>(protocol);
      hashes_.push_back((std::hash<std::string_view>{}(text) ^ rest) * 0x9e3779b97f4a7c15ULL);
    }
  }
  [[nodiscard]] std::size_t distinct() {
    std::sort(hashes_.begin(), hashes_.end());
    return static_cast<std::size_t>(std::unique(hashes_.begin(), hashes_.end()) - hashes_.begin());
  }

 private:
  std::vector<std::uint64_t> hashes_;
};

// Room for pods of one Service in so many to terminate, in as many tiers as the ready ones are in.
constexpr std::size_t kOneInTerminates = 4;

std::size_t sets_for(std::size_t tiers) { return std::max<std::size_t>(1, tiers); }

struct Rows {
  std::size_t sets = 0;          // while no pod terminates
  std::size_t now_more = 0;      // for those that do
  std::size_t at_most_more = 0;  // if pods of every Service did
  std::size_t lines = 0;
  std::uint32_t largest_tier = 0;  // in lines
};

std::size_t tiers_with_backends(const std::vector<core::Tier>& tiers) {
  return static_cast<std::size_t>(
      std::ranges::count_if(tiers, [](const auto& tier) { return !tier.backends.empty(); }));
}

// As SetWriter places them.
void add_rows(const core::TrafficPlan& traffic, Rows& rows) {
  for (const auto* list : {&traffic.tiers, &traffic.terminating_tiers}) {
    for (const auto& tier : *list) {
      if (tier.backends.size() <= TOPOLB_SLOTS_PER_SET) continue;
      const auto lines = lines_for(tier.backends.size());
      rows.lines += lines;
      rows.largest_tier = std::max(rows.largest_tier, lines);
    }
  }
  const std::size_t ready = tiers_with_backends(traffic.tiers);
  const std::size_t terminating = tiers_with_backends(traffic.terminating_tiers);
  rows.sets += sets_for(ready);
  rows.now_more += sets_for(ready + terminating) - sets_for(ready);
  rows.at_most_more += sets_for(2 * ready) - sets_for(ready);
}

/// The kinds of traffic of a plan that have backends of their own.
std::vector<const core::TrafficPlan*> kinds_of(const core::ServicePortPlan& plan) {
  std::vector<const core::TrafficPlan*> kinds{&plan.internal};
  for (const auto* other : {&plan.external, &plan.node_external}) {
    if (!*other) continue;
    const bool is_known =
        std::any_of(kinds.begin(), kinds.end(), [&](const auto* kind) { return *kind == **other; });
    if (!is_known) kinds.push_back(&**other);
  }
  return kinds;
}

/// What is written to this one while others take the place of the rest, all programs are to see.
bool is_shared(const std::string& map) { return map == "affinities" || map == "source_ranges"; }

}  // namespace

MapSizes sizes_needed(const std::vector<core::SharedPlan>& plan) {
  Rows rows;
  BackendCount backends;
  std::size_t frontends = 0;
  std::size_t names = 0;
  std::size_t counters = 0;
  bool has_affinity = false;
  for (const auto& port : plan) {
    frontends += port->frontends.size();
    names += name_rows_for({.key = port->key, .port_name = port->port_name});
    counters += counters_for(*port);
    has_affinity = has_affinity || port->affinity_timeout_s > 0;
    for (const auto* traffic : kinds_of(*port)) {
      add_rows(*traffic, rows);
      for (const auto* tiers : {&traffic->tiers, &traffic->terminating_tiers}) {
        for (const auto& tier : *tiers) backends.add(tier.backends, port->key.protocol);
      }
    }
    backends.add(port->idle_backends, port->key.protocol);
  }
  return {
      .frontends = with_room(frontends),
      .services = with_room(names),
      .sets = with_room(rows.sets + std::max(rows.now_more, rows.at_most_more / kOneInTerminates)),
      .slot_lines = with_room(rows.lines + std::size_t{rows.largest_tier} * kRoomForLargestTier),
      .backends = with_room(backends.distinct()),
      .affinities = has_affinity ? kAsManyAsMayBe : kNoAffinities,
      .counters = with_room(counters),
      .source_ranges = kAsManyAsMayBe,
      .sockets = 0};
}

std::map<std::string, std::uint32_t> limits_by_map(const MapSizes& limits) {
  return {{"backends", limits.backends},          {"counters", limits.counters},
          {"frontends", limits.frontends},        {"sets", limits.sets},
          {"service_names", limits.services},     {"slots", limits.slot_lines},
          {"source_ranges", limits.source_ranges}};
}

std::map<std::string, std::uint32_t> entries_by_map(const MapSizes& sizes) {
  return {{"frontends", frontend_lines_for(sizes.frontends)},
          {"service_names", sizes.services},
          {"sets", sizes.sets},
          {"slots", sizes.slot_lines},
          {"backends", sizes.backends},
          {"affinities", sizes.affinities},
          {"source_ranges", sizes.source_ranges},
          {"counters", Counters::rows_for(sizes.counters)}};
}

std::map<std::string, std::uint32_t> grown_entries(
    const std::map<std::string, std::uint32_t>& present, const MapSizes& needed,
    const MapSizes& limits) {
  const auto most = entries_by_map(limits);
  auto entries = entries_by_map(needed);
  bool grows = false;
  std::vector<std::string> shared;
  for (auto& [name, wanted] : entries) {
    const auto at = present.find(name);
    const bool is_there = at != present.end();
    const auto now = is_there ? at->second : 0;
    const bool is_short = std::min(wanted, most.at(name)) > now;
    grows = grows || is_short;
    if (is_there && !is_short && is_shared(name)) {
      shared.push_back(name);
      continue;
    }
    if (is_there) wanted = is_short ? wanted + wanted / 2 : now;
    wanted = std::max(now, std::min(wanted, most.at(name)));
  }
  for (const auto& name : shared) entries.erase(name);
  if (!grows) entries.clear();
  return entries;
}

}  // namespace topolb::dataplane
