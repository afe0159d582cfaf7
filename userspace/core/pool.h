// SPDX-License-Identifier: Apache-2.0
// Values that many objects have in common, kept once: what refers to them holds a number of four
// bytes. Private to core.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "util/id_index.h"

namespace topolb::core {

using PoolId = std::uint32_t;

/// Equal values have the same id for as long as somebody holds one; then it may become another
/// value's. References to values stay valid for as long.
template <typename Value, typename Hash>
class Pool {
 public:
  Pool() = default;
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  /// One more holder of a value.
  PoolId acquire(const Value& value) {
    const std::size_t hash = Hash{}(value);
    if (const auto found = find(hash, value)) {
      hold(*found);
      return *found;
    }
    PoolId id = static_cast<PoolId>(entries_.size());
    if (free_.empty()) {
      entries_.push_back({value, 1});
    } else {
      id = free_.back();
      free_.pop_back();
      ++reuses_;
      entries_[id] = {value, 1};
    }
    ids_.insert(hash, id);
    return id;
  }

  /// One more holder. @pre is_held(id)
  void hold(PoolId id) { ++entries_[id].holders; }

  void release(PoolId id) {
    Entry& entry = entries_[id];
    if (--entry.holders > 0) return;
    ids_.erase(Hash{}(entry.value), id);
    entry.value = Value();
    free_.push_back(id);
  }

  [[nodiscard]] const Value& operator[](PoolId id) const { return entries_[id].value; }
  [[nodiscard]] bool is_held(PoolId id) const { return entries_[id].holders > 0; }
  /// The id of a value that somebody holds.
  [[nodiscard]] std::optional<PoolId> find(const Value& value) const {
    return find(Hash{}(value), value);
  }
  /// How often an id has become another value's.
  [[nodiscard]] std::uint64_t reuses() const { return reuses_; }
  /// Every id is below.
  [[nodiscard]] std::size_t limit() const { return entries_.size(); }

 private:
  struct Entry {
    Value value;
    std::uint32_t holders = 0;
  };
  [[nodiscard]] std::optional<PoolId> find(std::size_t hash, const Value& value) const {
    return ids_.find(hash, [&](PoolId id) { return entries_[id].value == value; });
  }

  std::deque<Entry> entries_;  // which never move
  std::vector<PoolId> free_;
  std::uint64_t reuses_ = 0;
  IdIndex ids_;
};

}  // namespace topolb::core
