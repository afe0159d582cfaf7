// SPDX-License-Identifier: Apache-2.0
// The backends array: one row and id per address, port and protocol, shared by all Services and
// counted by the slots that name it.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "dataplane/allocator.h"
#include "dataplane/bpf_map.h"
#include "maps/layout.h"
#include "util/ip.h"

namespace topolb::dataplane {

/// Not thread-safe. `rows` must outlive the table.
class BackendTable {
 public:
  explicit BackendTable(MappedArray<topolb_backend>& rows);

  /// The id of a backend, made if new, with one more reference. None: the array is full.
  std::optional<std::uint32_t> acquire(const SocketAddress& address, Protocol protocol);
  /// Gives one reference back. The last one retires the row: it stays readable until reclaim().
  void release(std::uint32_t id);
  /// Restores one reference to a row found in the kernel. False: the row is free or out of range.
  bool restore(std::uint32_t id);
  /// After a grace period: clears the retired rows and makes their ids free.
  void reclaim();
  /// Clears every row that nothing refers to (after the last restore()).
  void drop_unreferenced();

  [[nodiscard]] std::uint32_t in_use() const { return ids_.in_use(); }
  [[nodiscard]] bool has_retired() const { return !ids_.retired().empty(); }

 private:
  [[nodiscard]] std::size_t bucket_of(const topolb_backend& row) const;
  void index(std::uint32_t id);
  void unindex(std::uint32_t id);
  void grow_index();

  MappedArray<topolb_backend>& rows_;
  RunAllocator ids_;
  std::vector<std::uint32_t> references_;  // by id
  // Open addressing over ids (0: empty): the keys are the rows themselves.
  std::vector<std::uint32_t> index_;
  std::size_t indexed_ = 0;
};

}  // namespace topolb::dataplane
