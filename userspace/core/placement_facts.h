// SPDX-License-Identifier: Apache-2.0
// What plans have found out about placements, so that it is found out once for all endpoints that
// have one in common, and stays known to later plans: the labels of Nodes lie all over the memory
// of a large cluster, and to look up those of one Service's backends would be most of what a
// changed endpoint costs. Private to core.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/pool.h"

namespace topolb::core {

/// Bit i: key i of a list of topology keys matches. Valid lists have at most 16 keys.
using KeyMask = std::uint32_t;
inline constexpr KeyMask kNotMatchedYet = ~KeyMask{0};

/// By the placement's id.
using KeyMasks = std::vector<KeyMask>;

/// As seen from this node.
enum class Place : std::uint8_t { NotLookedAt, Here, Elsewhere, OnNoNode };

/// Of one cluster state, as seen by one node.
class PlacementFacts {
 public:
  /// Of so many lists of keys the masks are kept. Each takes four bytes for every placement, and
  /// nearly all clusters use a handful of lists.
  static constexpr std::size_t kKeptLists = 16;

  [[nodiscard]] std::vector<Place>& places() { return places_; }
  /// Stays where it is until something is forgotten.
  [[nodiscard]] KeyMasks& masks_of(const std::vector<std::string>& keys) { return masks_[keys]; }

  /// After a plan, which may have been one of all Services.
  void trim() {
    if (masks_.size() > kKeptLists) masks_.clear();
  }
  /// The labels of its Node are not what they were.
  void forget_masks_at(PoolId placement) {
    for (auto& [keys, masks] : masks_) {
      if (placement < masks.size()) masks[placement] = kNotMatchedYet;
    }
  }
  /// The labels of this node are not what they were.
  void forget_masks() { masks_.clear(); }
  /// Ids may be those of other placements now.
  void forget_all() {
    masks_.clear();
    places_.clear();
  }

 private:
  std::vector<Place> places_;  // by the placement's id
  std::map<std::vector<std::string>, KeyMasks> masks_;
};

}  // namespace topolb::core
