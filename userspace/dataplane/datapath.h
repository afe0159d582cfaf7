// SPDX-License-Identifier: Apache-2.0
// The BPF programs and maps of one agent: loaded, attached, pinned, taken over from the agent
// before.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "dataplane/constants.h"
#include "dataplane/kernel_maps.h"
#include "dataplane/map_sizes.h"
#include "dataplane/replaced_maps.h"
#include "util/result.h"
#include "util/unique_fd.h"

namespace topolb::dataplane {

struct DatapathOptions {
  std::string pin_path = kDefaultPinPath;
  std::string cgroup_path;  // a directory of a cgroup2 hierarchy
  std::string node_name;
  MapSizes limits;
};

struct LoadedObject;  // the bpftool skeleton

/// Order of use: open(), make_room() for the first complete state, publish it into maps(),
/// attach(). Until attach() the programs of the agent before (if any) keep serving: from the same
/// maps when the layout is the same and they have room, else from theirs. When the maps get too
/// small: the same again, from make_room() on, with a Publisher of its own; until attach() the
/// programs serve what they did. The destructor closes; it never detaches or unpins.
class Datapath {
 public:
  /// Claims the pin path and opens what is pinned there, or makes maps that have no room yet.
  /// Errors, one line each: another agent runs there, no right, no BPF, no bpffs, no such cgroup.
  static Result<Datapath> open(const DatapathOptions& options);

  Datapath(Datapath&&) noexcept;
  Datapath& operator=(Datapath&&) noexcept;
  ~Datapath();

  /// Makes the maps as large as is needed (and more, within the limits), all those with what is
  /// published anew if one is too small. Entries keep their ids, so that open sockets, flows and
  /// affinities go on; sets, whose ids only frontends know, get others. False: the maps are as they
  /// were. Error: the same.
  Result<bool> make_room(const MapSizes& needed);

  /// Another number whenever make_room() has replaced maps.
  [[nodiscard]] std::uint32_t generation() const { return generation_; }
  [[nodiscard]] const MapSizes& limits() const { return options_.limits; }
  KernelMaps& maps() { return *maps_; }
  /// For another thread than the one that calls make_room().
  void read_maps(const std::function<void(const KernelMaps&)>& read) const;
  /// A descriptor of its own of one of pinned_map_names().
  [[nodiscard]] Result<UniqueFd> map(const std::string& name) const;
  /// The maps of the agent before are in use: they hold its state.
  [[nodiscard]] bool took_over() const { return took_over_; }

  /// Attaches every program (or updates the pinned link of the agent before), then pins the maps.
  Result<void> attach();
  /// Once no program uses the maps any more that make_room() has replaced, if it did.
  void drop_replaced_maps();

 private:
  Datapath();
  Result<void> open_maps();
  [[nodiscard]] Result<void> reuse_peers(LoadedObject& loaded) const;
  // Else the maps are there to be replaced by such that have room.
  [[nodiscard]] bool has_state() const { return is_loaded_ || took_over_; }
  [[nodiscard]] std::map<std::string, std::uint32_t> entries_now() const;
  [[nodiscard]] Constants constants_for(const std::map<std::string, std::uint32_t>& entries) const;
  Result<void> load(const std::map<std::string, std::uint32_t>& entries);
  Result<void> replace_maps(const LoadedObject& next);
  Result<void> attach_program(std::size_t index, int cgroup_fd);

  DatapathOptions options_;
  UniqueFd claim_;
  std::unique_ptr<LoadedObject> object_;
  // On the heap: others refer to it over moves of this object.
  std::unique_ptr<KernelMaps> maps_;
  std::unique_ptr<std::mutex> maps_lock_ = std::make_unique<std::mutex>();
  std::unique_ptr<ReplacedMaps> replaced_;  // until drop_replaced_maps()
  std::uint32_t generation_ = 0;
  bool is_loaded_ = false;
  bool took_over_ = false;
};

}  // namespace topolb::dataplane
