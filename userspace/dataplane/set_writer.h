// SPDX-License-Identifier: Apache-2.0
// Sets and their slots in the mapped arrays: written complete before anybody points at them, and
// immutable until retired.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/plan.h"
#include "dataplane/allocator.h"
#include "dataplane/backend_table.h"
#include "dataplane/kernel_maps.h"
#include "dataplane/kernel_state.h"

namespace topolb::dataplane {

/// Lines of slots for a tier that its set has no room for.
std::uint32_t lines_for(std::size_t backends);

/// Ids of topology keys: small numbers for long label names.
class KeyTable {
 public:
  explicit KeyTable(HashMap<std::uint32_t, topolb_topology_key>& map) : map_(map) {}
  /// 0 for "". None: the map is full.
  std::optional<std::uint16_t> id_of(const std::string& key);
  void restore();
  void keep_only(const std::vector<std::string>& sorted_keys);
  [[nodiscard]] std::uint32_t in_use() const { return static_cast<std::uint32_t>(ids_.size()); }

 private:
  HashMap<std::uint32_t, topolb_topology_key>& map_;
  std::map<std::string, std::uint16_t> ids_;
};

/// Near which rows a set and its backends are looked for before it is known where they are.
struct NearRows {
  std::uint32_t set = 0;
  std::uint32_t backend = 0;
};

/// What one set is to hold, in ids. Holds one backend reference per id until written or dropped.
struct PreparedSet {
  struct Tier {
    std::uint16_t key_id = 0;
    std::uint8_t counter = 0;
    bool terminating = false;
    std::vector<std::uint32_t> backend_ids;  // ascending
  };
  core::Verdict verdict = core::Verdict::Reject;
  std::uint8_t flags = 0;  // TOPOLB_SET_*
  std::uint32_t affinity_timeout_s = 0;
  std::uint32_t first_counter = 0;
  std::vector<Tier> tiers;
  std::uint32_t near_set = 0;
};

/// Not thread-safe. The maps must outlive it. A failure names the map that is full and leaves
/// nothing behind.
class SetWriter {
 public:
  explicit SetWriter(KernelMaps& maps);

  /// `traffic` is one kind of the port's.
  Result<PreparedSet> prepare(const core::TrafficPlan& traffic, const core::ServicePortPlan& port,
                              std::uint32_t first_counter, const NearRows& near);
  /// Gives the references of a prepared set back that is not written.
  void drop(const PreparedSet& prepared);
  /// The set's head id; its references now belong to the kernel's rows.
  Result<std::uint32_t> write(const PreparedSet& prepared);
  /// Whether the kernel's set holds just this.
  [[nodiscard]] bool holds(std::uint32_t set_id, const PreparedSet& prepared) const;
  /// Retires a set with its chain, slots and references. Id 0 is none.
  void retire(std::uint32_t set_id);
  /// Counts what a set found in the kernel uses as in use.
  void restore(const KernelSet& set);
  /// After the last restore(): clears every set and line that no set found in the kernel uses.
  void drop_unreferenced();
  /// After a grace period.
  void reclaim();
  [[nodiscard]] bool has_retired() const;

  KeyTable& keys() { return keys_; }
  [[nodiscard]] const KeyTable& keys() const { return keys_; }
  BackendTable& backends() { return backends_; }
  [[nodiscard]] const BackendTable& backends() const { return backends_; }
  [[nodiscard]] const RunAllocator& sets() const { return sets_; }
  [[nodiscard]] const RunAllocator& lines() const { return lines_; }

 private:
  std::optional<PreparedSet::Tier> prepare_tier(const core::Tier& tier,
                                                const core::ServicePortPlan& port,
                                                std::uint32_t near_backend);
  Result<std::vector<topolb_set>> place_tiers(const PreparedSet& prepared);
  [[nodiscard]] bool holds_tier(std::uint32_t set_id, const PreparedSet::Tier& wanted) const;
  void write_lines(std::uint32_t first, const std::vector<std::uint32_t>& backend_ids);
  void retire_lines(const topolb_set& row);

  KernelMaps& maps_;
  KeyTable keys_;
  BackendTable backends_;
  RunAllocator sets_;
  RunAllocator lines_;
};

}  // namespace topolb::dataplane
