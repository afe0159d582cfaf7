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
#include "util/id_index.h"
#include "util/ip.h"

namespace topolb::dataplane {

/// Not thread-safe. `rows` and `ports`, which gets the port of every row, must outlive the table.
class BackendTable {
 public:
  BackendTable(MappedArray<topolb_backend>& rows, topolb_port_set& ports);

  /// The id of a backend, made if new, with one more reference; `flags` become those of its row.
  /// A new one is near id `near`. None: the array is full. @pre every row in use was restored.
  std::optional<std::uint32_t> acquire(const SocketAddress& address, Protocol protocol,
                                       std::uint32_t flags, std::uint32_t near);
  /// The same for a backend that has a row. None: it has none. @pre likewise
  std::optional<std::uint32_t> acquire_known(const SocketAddress& address, Protocol protocol);
  /// Gives one reference back. The last one retires the row: it stays readable until reclaim(), and
  /// is the backend's again if that comes back before.
  void release(std::uint32_t id);
  /// Restores one reference to a row found in the kernel. False: the row is free or out of range.
  bool restore(std::uint32_t id);
  /// After a grace period: clears the retired rows and makes their ids free.
  void reclaim();
  /// UDP backends whose last reference was given back since the last call, and that have not come
  /// back.
  std::vector<SocketAddress> take_gone_udp();
  /// After the last restore(): one reference to each row in use that nothing refers to.
  std::vector<std::uint32_t> restore_unreferenced();

  /// Rows that somebody refers to.
  [[nodiscard]] std::uint32_t live() const { return live_; }
  [[nodiscard]] bool has_retired() const { return !retired_.empty(); }

 private:
  [[nodiscard]] std::optional<std::uint32_t> find(const topolb_backend& wanted) const;
  void add_reference(std::uint32_t id);
  void store_flags(std::uint32_t id, std::uint32_t flags);

  MappedArray<topolb_backend>& rows_;
  topolb_port_set& ports_;
  RunAllocator ids_;
  std::vector<std::uint32_t> references_;  // by id
  std::vector<std::uint32_t> retired_;     // some of them may have come back since
  std::vector<SocketAddress> gone_udp_;    // they, too
  IdIndex index_;
  std::uint32_t last_ = 0;  // that was acquired
  std::uint32_t live_ = 0;
};

}  // namespace topolb::dataplane
