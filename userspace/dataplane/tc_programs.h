// SPDX-License-Identifier: Apache-2.0
// The programs of the per-packet path, on the maps of the socket hooks and some of their own.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "dataplane/bpf_map.h"
#include "dataplane/constants.h"
#include "dataplane/flow_table.h"
#include "maps/layout.h"
#include "maps/limits.h"
#include "util/result.h"
#include "util/unique_fd.h"

namespace topolb::dataplane {

/// Room in the maps that only the per-packet path has.
struct TcSizes {
  std::uint32_t flows = TOPOLB_FIRST_FLOWS;
  std::uint32_t most_flows = TOPOLB_MAX_FLOWS;
  std::uint32_t fragments = TOPOLB_DEFAULT_FRAGMENTS;
};

/// What the programs have in their instructions beside search_constants().
Constants flow_constants(const topolb_flow_facts& facts, bool dsr);

struct TcObject;  // the bpftool skeleton

class TcPrograms {
 public:
  /// `shared(name)` opens a map that the socket hooks have (KernelMaps::open()'s names). The maps
  /// of an agent before are taken over from `pin_path` when their sizes are allowed; a flow table
  /// of another size is replaced, and has to be carried over. `dsr`: direct server return.
  static Result<TcPrograms> load(const std::string& pin_path,
                                 const std::function<Result<UniqueFd>(const std::string&)>& shared,
                                 const TcSizes& sizes, bool dsr);
  TcPrograms(TcPrograms&&) noexcept;
  TcPrograms& operator=(TcPrograms&&) noexcept;
  ~TcPrograms();

  /// For external devices, pods' devices, and clients of both.
  [[nodiscard]] int ingress() const;
  [[nodiscard]] int pod_ingress() const;
  [[nodiscard]] int egress() const;

  /// A descriptor of its own of one of the maps; after load() it is always there.
  [[nodiscard]] Result<UniqueFd> map(const std::string& name) const;
  /// The flow table that these programs use. `settings` must outlive it.
  [[nodiscard]] Result<FlowTable> flow_table(const topolb_settings& settings) const;
  /// Before the programs are attached: keeps those that they leave packets to. The kernel lets go
  /// of these once nobody holds their table, however many packets are left to them.
  Result<void> pin_workers();
  /// Pins the maps that were made anew, after the programs are attached.
  Result<void> pin_maps();
  /// Once no program of an agent before is attached.
  void drop_workers_before();

  /// Ends what a process before left of pin_maps().
  static Result<void> finish_pins(const std::string& pin_path);
  /// Whether the programs that are attached have a pinned table of workers.
  static bool has_workers(const std::string& pin_path);
  /// Unpins every table of workers but that one (its map's id; 0: none).
  static void drop_workers(const std::string& pin_path, std::uint32_t but);

  /// Names of the maps that only the per-packet path has, sorted.
  static const std::vector<std::string>& own_map_names();

 private:
  TcPrograms();
  std::string pin_path_;
  std::unique_ptr<TcObject> object_;
};

}  // namespace topolb::dataplane
