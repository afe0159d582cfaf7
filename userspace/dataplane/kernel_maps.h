// SPDX-License-Identifier: Apache-2.0
// All maps of one pin path, opened and checked. Shared by the agent (read-write, from the objects
// it has loaded) and the CLI (read-only, from the pins, agent up or down).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "dataplane/bpf_map.h"
#include "maps/layout.h"

namespace topolb::dataplane {

inline constexpr const char* kDefaultPinPath = "/sys/fs/bpf/topolb";

/// The counters of all CPUs together, by counter id.
class Counters {
 public:
  static Result<Counters> from_fd(UniqueFd fd, Access access);
  /// Rows of the array for `count` counters on each CPU that this machine may have.
  static std::uint32_t rows_for(std::uint32_t count);
  /// The reverse: what an array of so many rows has for each.
  static std::uint32_t per_cpu(std::uint32_t rows);
  [[nodiscard]] std::uint32_t capacity() const { return rows_.capacity() / cpus_; }
  /// `count` counters from `first` on, summed over the CPUs.
  [[nodiscard]] std::vector<std::uint64_t> read(std::uint32_t first, std::uint32_t count) const;
  void reset(std::uint32_t first, std::uint32_t count);
  /// All of them, CPU by CPU.
  [[nodiscard]] std::vector<std::uint64_t> values() const;
  /// Adds what other counters, which are not more than these, have counted from `known` to `now`,
  /// both values() of theirs.
  void add(const std::vector<std::uint64_t>& known, const std::vector<std::uint64_t>& now);

 private:
  MappedArray<topolb_counter> rows_;
  std::uint32_t cpus_ = 1;
};

struct KernelMaps {
  MappedArray<topolb_frontend_line> frontends;
  MappedArray<topolb_set> sets;
  MappedArray<topolb_slot_line> slots;
  MappedArray<topolb_backend> backends;
  HashMap<topolb_affinity_key, topolb_affinity> affinities;
  MappedArray<topolb_peer_line> peers;
  Counters counters;
  HashMap<topolb_address, topolb_node_address> node_addresses;
  HashMap<topolb_source_range, std::uint32_t> source_ranges;
  MappedArray<topolb_service_name> service_names;
  HashMap<std::uint32_t, topolb_topology_key> topology_keys;
  MappedArray<topolb_settings> settings;

  /// Says in the settings how the other maps are to be read; for maps just made.
  void initialize();

  /// Opens every map by `open(name)`.
  static Result<KernelMaps> open(const std::function<Result<UniqueFd>(const std::string&)>& open,
                                 Access access);
  /// From the pins below `pin_path`. Errors: nothing pinned there, no right, another layout
  /// version.
  static Result<KernelMaps> open_pinned(const std::string& pin_path, Access access);
};

/// Names of the maps that are pinned, sorted.
const std::vector<std::string>& pinned_map_names();

}  // namespace topolb::dataplane
