// SPDX-License-Identifier: Apache-2.0
// Which rows of an array map are free. Pure bookkeeping, no kernel.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace topolb::dataplane {

/// Hands out runs of consecutive ids from [1, capacity); id 0 is never handed out, so that 0 can
/// mean "none". A run that is given back is *retired*: a BPF program may still be reading it, so it
/// is handed out again only after reclaim(), which the caller does after a grace period.
class RunAllocator {
 public:
  explicit RunAllocator(std::uint32_t capacity = 1);

  /// The first of `length` consecutive ids; none if no free run is that long. First fit.
  [[nodiscard]] std::optional<std::uint32_t> allocate(std::uint32_t length = 1);
  /// This id if it is free, or else one less than 128 further away than the nearest; none if none
  /// is free. `id` may be any number.
  [[nodiscard]] std::optional<std::uint32_t> allocate_near(std::uint32_t id);
  /// Marks a run as in use (restoring from the kernel). False if a part of it is not free.
  bool take(std::uint32_t first, std::uint32_t length = 1);
  void retire(std::uint32_t first, std::uint32_t length = 1);
  /// Makes what was retired free again.
  void reclaim();
  [[nodiscard]] bool is_free(std::uint32_t id) const;
  /// Retired runs as (first, length), in the order of retirement.
  [[nodiscard]] const std::vector<std::pair<std::uint32_t, std::uint32_t>>& retired() const {
    return retired_;
  }
  /// Ids neither free nor retired.
  [[nodiscard]] std::uint32_t in_use() const { return in_use_; }
  [[nodiscard]] std::uint32_t capacity() const { return capacity_; }
  /// The longest run that allocate() found none for since reclaim(); 0: there was one for all.
  [[nodiscard]] std::uint32_t refused() const { return refused_; }

 private:
  [[nodiscard]] std::uint32_t next(bool free, std::uint32_t from) const;
  [[nodiscard]] std::optional<std::uint32_t> nearest(std::uint32_t id) const;

  std::uint32_t capacity_;
  std::uint32_t left_;  // free
  std::uint32_t in_use_ = 0;
  std::uint32_t refused_ = 0;
  std::vector<std::uint64_t> free_;  // by id, a bit each; beyond the last id none is
  std::uint32_t lowest_ = 1;         // no id below is free
  std::vector<std::pair<std::uint32_t, std::uint32_t>> retired_;
};

}  // namespace topolb::dataplane
