// SPDX-License-Identifier: Apache-2.0
#include "dataplane/allocator.h"

#include <algorithm>
#include <bit>

namespace topolb::dataplane {
namespace {

constexpr std::uint32_t kBits = 64;  // of a word

std::uint64_t bit_of(std::uint32_t id) { return std::uint64_t{1} << id % kBits; }
/// It and all above.
std::uint64_t from_bit_of(std::uint32_t id) { return ~(bit_of(id) - 1); }

/// @pre bits are not 0
std::uint32_t lowest_in(std::uint32_t word, std::uint64_t bits) {
  return word * kBits + static_cast<std::uint32_t>(std::countr_zero(bits));
}

}  // namespace

RunAllocator::RunAllocator(std::uint32_t capacity)
    : capacity_(capacity),
      left_(capacity > 1 ? capacity - 1 : 0),
      free_(capacity / kBits + 1, ~std::uint64_t{0}) {
  free_.back() &= ~from_bit_of(capacity);
  free_.front() &= ~bit_of(0);
}

std::optional<std::uint32_t> RunAllocator::allocate(std::uint32_t length) {
  lowest_ = next(true, lowest_);
  for (auto first = lowest_; first < capacity_;) {
    const auto end = next(false, first);
    if (end - first >= length) {
      (void)take(first, length);
      return first;
    }
    first = next(true, end);
  }
  refused_ = std::max(refused_, length);
  return std::nullopt;
}

std::optional<std::uint32_t> RunAllocator::allocate_near(std::uint32_t id) {
  const auto found = nearest(id);
  if (found) (void)take(*found);
  return found;
}

// The next one up in its word, or else the lowest of the nearest word that has one: runs ascend.
std::optional<std::uint32_t> RunAllocator::nearest(std::uint32_t id) const {
  if (left_ == 0) return std::nullopt;
  const auto home = std::min(id, capacity_) / kBits;
  const auto words = static_cast<std::uint32_t>(free_.size());
  const auto from = id < capacity_ ? from_bit_of(id) : 0;
  if (const auto up = free_[home] & from; up != 0) return lowest_in(home, up);
  for (std::uint32_t away = 0; away < words; ++away) {
    for (const auto word : {home - away, home + away}) {  // below 0 is beyond the last
      if (word < words && free_[word] != 0) return lowest_in(word, free_[word]);
    }
  }
  return std::nullopt;
}

// The first id from `from` on that is free, or is not; the capacity if there is none.
std::uint32_t RunAllocator::next(bool free, std::uint32_t from) const {
  if (from >= capacity_) return capacity_;
  const std::uint64_t flip = free ? 0 : ~std::uint64_t{0};
  auto word = from / kBits;
  auto wanted = (free_[word] ^ flip) & from_bit_of(from);
  while (wanted == 0) {
    if (++word == free_.size()) return capacity_;
    wanted = free_[word] ^ flip;
  }
  return std::min(capacity_, lowest_in(word, wanted));
}

bool RunAllocator::take(std::uint32_t first, std::uint32_t length) {
  if (first >= capacity_ || length > capacity_ - first) return false;
  if (next(true, first) != first || next(false, first) - first < length) return false;
  for (auto id = first; id < first + length; ++id) free_[id / kBits] &= ~bit_of(id);
  in_use_ += length;
  left_ -= length;
  return true;
}

bool RunAllocator::is_free(std::uint32_t id) const {
  return id == 0 || (id < capacity_ && (free_[id / kBits] & bit_of(id)) != 0);
}

void RunAllocator::retire(std::uint32_t first, std::uint32_t length) {
  retired_.emplace_back(first, length);
  in_use_ -= length;
}

void RunAllocator::reclaim() {
  for (const auto& [first, length] : retired_) {
    for (auto id = first; id < first + length; ++id) free_[id / kBits] |= bit_of(id);
    left_ += length;
    lowest_ = std::min(lowest_, first);
  }
  retired_.clear();
  refused_ = 0;
}

}  // namespace topolb::dataplane
