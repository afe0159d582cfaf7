// SPDX-License-Identifier: Apache-2.0
// Values that many objects have in common, kept once: what refers to them holds a number of four
// bytes. Private to core.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

namespace topolb::core {

using PoolId = std::uint32_t;

/// Equal values have the same id for as long as somebody holds one; then it may become another
/// value's. References to values stay valid for as long.
template <typename Value, typename Hash>
class Pool {
 public:
  Pool() : ids_(0, HashOfId{&entries_}, EqualIds{&entries_}) {}
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  /// One more holder of a value.
  PoolId acquire(const Value& value) {
    if (const auto found = ids_.find(value); found != ids_.end()) {
      ++entries_[*found].holders;
      return *found;
    }
    PoolId id = static_cast<PoolId>(entries_.size());
    if (free_.empty()) {
      entries_.push_back({value, 1});
    } else {
      id = free_.back();
      free_.pop_back();
      entries_[id] = {value, 1};
    }
    ids_.insert(id);
    return id;
  }

  void release(PoolId id) {
    if (--entries_[id].holders > 0) return;
    ids_.erase(id);
    entries_[id].value = Value();
    free_.push_back(id);
  }

  [[nodiscard]] const Value& operator[](PoolId id) const { return entries_[id].value; }
  [[nodiscard]] bool is_held(PoolId id) const { return entries_[id].holders > 0; }
  /// The id of a value that somebody holds.
  [[nodiscard]] std::optional<PoolId> find(const Value& value) const {
    const auto found = ids_.find(value);
    return found == ids_.end() ? std::nullopt : std::optional(*found);
  }
  /// Every id is below.
  [[nodiscard]] std::size_t limit() const { return entries_.size(); }

 private:
  struct Entry {
    Value value;
    std::uint32_t holders = 0;
  };
  using Entries = std::deque<Entry>;  // entries never move
  struct HashOfId {
    using is_transparent = void;
    const Entries* entries;
    std::size_t operator()(PoolId id) const { return Hash{}((*entries)[id].value); }
    std::size_t operator()(const Value& value) const { return Hash{}(value); }
  };
  struct EqualIds {
    using is_transparent = void;
    const Entries* entries;
    bool operator()(PoolId a, PoolId b) const { return a == b; }
    bool operator()(const Value& a, PoolId b) const { return a == (*entries)[b].value; }
    bool operator()(PoolId a, const Value& b) const { return (*entries)[a].value == b; }
  };

  Entries entries_;
  std::vector<PoolId> free_;
  std::unordered_set<PoolId, HashOfId, EqualIds> ids_;
};

}  // namespace topolb::core
