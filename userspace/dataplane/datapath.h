// SPDX-License-Identifier: Apache-2.0
// The BPF programs and maps of one agent: loaded, attached, pinned, taken over from the agent
// before.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "dataplane/kernel_maps.h"
#include "maps/limits.h"
#include "util/result.h"
#include "util/unique_fd.h"

namespace topolb::dataplane {

/// max_entries of the maps (docs/limits.md: bytes per entry).
struct MapSizes {
  std::uint32_t frontends = TOPOLB_DEFAULT_FRONTENDS;
  std::uint32_t services = TOPOLB_DEFAULT_SERVICES;
  std::uint32_t sets = TOPOLB_DEFAULT_SETS;
  std::uint32_t slot_lines = TOPOLB_DEFAULT_SLOT_LINES;
  std::uint32_t backends = TOPOLB_DEFAULT_BACKENDS;
  std::uint32_t affinities = TOPOLB_DEFAULT_AFFINITIES;
  std::uint32_t counters = TOPOLB_DEFAULT_COUNTERS;
  std::uint32_t source_ranges = TOPOLB_DEFAULT_SOURCE_RANGES;
  std::uint32_t sockets = TOPOLB_DEFAULT_SOCKETS;
};

/// max_entries of each map that has a size, by the map's name; but of `peers`, which is kept over
/// restarts as it was made: nothing else knows what open sockets dialled.
std::map<std::string, std::uint32_t> entries_by_map(const MapSizes& sizes);

struct DatapathOptions {
  std::string pin_path = kDefaultPinPath;
  std::string cgroup_path;  // a directory of a cgroup2 hierarchy
  std::string node_name;
  MapSizes sizes;
};

struct LoadedObject;  // the bpftool skeleton

/// Order of use: open(), publish a first complete state into maps(), attach(). Until attach() the
/// programs of the agent before (if any) keep serving: from the same maps when layout and sizes are
/// the same, else from theirs. The destructor closes; it never detaches or unpins.
class Datapath {
 public:
  /// Claims the pin path and loads. Errors, one line each: another agent runs there, no right, no
  /// BPF, no bpffs, no such cgroup.
  static Result<Datapath> open(const DatapathOptions& options);

  Datapath(Datapath&&) noexcept;
  Datapath& operator=(Datapath&&) noexcept;
  ~Datapath();

  KernelMaps& maps() { return *maps_; }
  /// A descriptor of its own of one of pinned_map_names().
  [[nodiscard]] Result<UniqueFd> map(const std::string& name) const;
  /// The maps of the agent before are in use: they hold its state.
  [[nodiscard]] bool took_over() const { return took_over_; }

  /// Attaches every program (or updates the pinned link of the agent before), then pins the maps.
  Result<void> attach();

 private:
  Datapath();
  Result<void> load();
  Result<void> take_over_peers();
  Result<void> attach_program(std::size_t index, int cgroup_fd);
  Result<void> pin_maps();

  DatapathOptions options_;
  UniqueFd claim_;
  std::unique_ptr<LoadedObject> object_;
  // On the heap: Publisher refers to it over moves of this object.
  std::unique_ptr<KernelMaps> maps_;
  bool took_over_ = false;
};

}  // namespace topolb::dataplane
