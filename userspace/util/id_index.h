// SPDX-License-Identifier: Apache-2.0
// Finds numbered things by what they hold: a hash table of ids, where the things are elsewhere.
// Beside each id is a part of its hash, so that a search reads hardly a thing but the one it is
// for, and growing reads none.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace topolb {

/// Equal things have equal hashes, different things rarely do, which is all that is asked of those.
/// Not thread-safe.
class IdIndex {
 public:
  IdIndex() = default;
  IdIndex(const IdIndex&) = delete;
  IdIndex& operator=(const IdIndex&) = delete;

  /// The id of this hash for which `is_it(id)` is true.
  template <typename IsIt>
  [[nodiscard]] std::optional<std::uint32_t> find(std::size_t hash, const IsIt& is_it) const {
    const std::uint32_t mark = mark_of(hash);
    for (std::size_t at = home_of(mark); buckets_[at].mark != kEmpty; at = next(at)) {
      if (buckets_[at].mark == mark && is_it(buckets_[at].id)) return buckets_[at].id;
    }
    return std::nullopt;
  }

  /// @pre the id is not there.
  void insert(std::size_t hash, std::uint32_t id) {
    if (++count_ > buckets_.size() - buckets_.size() / kSlack) grow();
    place({id, mark_of(hash)});
  }

  /// @pre the id is there, with this hash.
  void erase(std::size_t hash, std::uint32_t id) {
    std::size_t hole = home_of(mark_of(hash));
    while (buckets_[hole].id != id) {
      assert(buckets_[hole].mark != kEmpty);
      hole = next(hole);
    }
    // Moves up what could no longer be found past the hole.
    for (std::size_t at = next(hole); buckets_[at].mark != kEmpty; at = next(at)) {
      const std::size_t home = home_of(buckets_[at].mark);
      if (distance(home, hole) > distance(home, at)) continue;
      buckets_[hole] = buckets_[at];
      hole = at;
    }
    buckets_[hole] = {};
    --count_;
  }

 private:
  struct Bucket {
    std::uint32_t id = 0;
    std::uint32_t mark = 0;  // kEmpty: there is no id
  };
  static constexpr std::uint32_t kEmpty = 0;
  static constexpr std::size_t kSlack = 5;  // about one in so many buckets is empty, at least

  static std::uint32_t mark_of(std::size_t hash) {
    hash *= 0x9e3779b97f4a7c15ULL;
    const auto mixed =
        static_cast<std::uint32_t>((hash ^ hash >> 32U) * 0x9e3779b97f4a7c15ULL >> 32U);
    return mixed == kEmpty ? 1 : mixed;
  }
  [[nodiscard]] std::size_t home_of(std::uint32_t mark) const {
    return mark & (buckets_.size() - 1);
  }
  [[nodiscard]] std::size_t next(std::size_t at) const { return (at + 1) & (buckets_.size() - 1); }
  [[nodiscard]] std::size_t distance(std::size_t home, std::size_t at) const {
    return (at - home) & (buckets_.size() - 1);
  }

  void place(Bucket bucket) {
    std::size_t at = home_of(bucket.mark);
    while (buckets_[at].mark != kEmpty) at = next(at);
    buckets_[at] = bucket;
  }

  void grow() {
    std::vector<Bucket> old(buckets_.size() * 2);
    old.swap(buckets_);
    for (const Bucket& bucket : old) {
      if (bucket.mark != kEmpty) place(bucket);
    }
  }

  std::vector<Bucket> buckets_ = std::vector<Bucket>(8);  // open addressing; a power of two
  std::size_t count_ = 0;
};

}  // namespace topolb
