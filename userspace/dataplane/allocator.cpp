// SPDX-License-Identifier: Apache-2.0
#include "dataplane/allocator.h"

#include <algorithm>

namespace topolb::dataplane {

RunAllocator::RunAllocator(std::uint32_t capacity) : capacity_(capacity) {
  if (capacity > 1) free_.emplace(1, capacity - 1);
}

std::optional<std::uint32_t> RunAllocator::allocate(std::uint32_t length) {
  const auto run = std::find_if(free_.begin(), free_.end(),
                                [&](const auto& free_run) { return free_run.second >= length; });
  if (run == free_.end()) {
    refused_ = std::max(refused_, length);
    return std::nullopt;
  }
  const auto [first, available] = *run;
  free_.erase(run);
  if (available > length) free_.emplace(first + length, available - length);
  in_use_ += length;
  return first;
}

bool RunAllocator::take(std::uint32_t first, std::uint32_t length) {
  auto run = free_.upper_bound(first);
  if (run == free_.begin()) return false;
  --run;
  const auto [free_first, free_length] = *run;
  if (first - free_first + length > free_length) return false;
  free_.erase(run);
  if (first > free_first) free_.emplace(free_first, first - free_first);
  const auto end = first + length;
  const auto free_end = free_first + free_length;
  if (free_end > end) free_.emplace(end, free_end - end);
  in_use_ += length;
  return true;
}

bool RunAllocator::is_free(std::uint32_t id) const {
  auto run = free_.upper_bound(id);
  if (run == free_.begin()) return id == 0;
  --run;
  return id - run->first < run->second;
}

void RunAllocator::retire(std::uint32_t first, std::uint32_t length) {
  retired_.emplace_back(first, length);
  in_use_ -= length;
}

void RunAllocator::reclaim() {
  for (const auto& [first, length] : retired_) release(first, length);
  retired_.clear();
  refused_ = 0;
}

void RunAllocator::release(std::uint32_t first, std::uint32_t length) {
  const auto after = free_.lower_bound(first);
  if (after != free_.end() && after->first == first + length) {
    length += after->second;
    free_.erase(after);
  }
  if (auto before = free_.lower_bound(first); before != free_.begin()) {
    --before;
    if (before->first + before->second == first) {
      before->second += length;
      return;
    }
  }
  free_.emplace(first, length);
}

}  // namespace topolb::dataplane
