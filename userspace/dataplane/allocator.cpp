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
std::uint32_t highest_in(std::uint32_t word, std::uint64_t bits) {
  return word * kBits + kBits - 1 - static_cast<std::uint32_t>(std::countl_zero(bits));
}

}  // namespace

RunAllocator::RunAllocator(std::uint32_t capacity)
    : capacity_(capacity), free_(capacity / kBits + 1) {
  if (capacity > 1) mark(true, 1, capacity - 1);
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
  const auto found = nearest(std::min(id, capacity_));
  if (found) {
    (void)take(*found);
  } else {
    refused_ = std::max(refused_, 1U);
  }
  return found;
}

// The next one up in its word, or else, by whole words to either side, the nearest one there.
std::optional<std::uint32_t> RunAllocator::nearest(std::uint32_t id) const {
  const auto home = id / kBits;
  const auto words = static_cast<std::uint32_t>(free_.size());
  if (const auto up = free_[home] & from_bit_of(id); up != 0) return lowest_in(home, up);
  for (std::uint32_t away = 0; away < words; ++away) {
    if (home >= away && free_[home - away] != 0) return highest_in(home - away, free_[home - away]);
    if (home + away < words && free_[home + away] != 0) {
      return lowest_in(home + away, free_[home + away]);
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

void RunAllocator::mark(bool free, std::uint32_t first, std::uint32_t length) {
  for (auto id = first; id < first + length; ++id) {
    if (free) {
      free_[id / kBits] |= bit_of(id);
    } else {
      free_[id / kBits] &= ~bit_of(id);
    }
  }
}

bool RunAllocator::take(std::uint32_t first, std::uint32_t length) {
  if (first >= capacity_ || length > capacity_ - first) return false;
  if (next(true, first) != first || next(false, first) - first < length) return false;
  mark(false, first, length);
  in_use_ += length;
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
    mark(true, first, length);
    lowest_ = std::min(lowest_, first);
  }
  retired_.clear();
  refused_ = 0;
}

}  // namespace topolb::dataplane
