// SPDX-License-Identifier: Apache-2.0
// What the objects of one cluster state have in common. Private to core.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/model.h"
#include "core/pool.h"
#include "core/topology_keys.h"

namespace topolb::core {

/// Good enough to tell values apart; none of these comes from clients.
struct HashOfParts {
  std::size_t operator()(const std::string& text) const noexcept {
    return std::hash<std::string>{}(text);
  }
  std::size_t operator()(const EndpointPort& port) const noexcept {
    return mix((*this)(port.name), port.number);
  }
  std::size_t operator()(const Placement& placement) const noexcept {
    return mix(mix((*this)(placement.node_name), (*this)(placement.zone)),
               mix((*this)(placement.node_hints), (*this)(placement.zone_hints)));
  }
  std::size_t operator()(const TopologyKeys& keys) const noexcept {
    return mix((*this)(keys.keys), (*this)(keys.problem_message));
  }
  template <typename Part>
  std::size_t operator()(const std::vector<Part>& parts) const noexcept {
    std::size_t hash = parts.size();
    for (const Part& part : parts) hash = mix(hash, (*this)(part));
    return hash;
  }

 private:
  static std::size_t mix(std::size_t a, std::size_t b) noexcept {
    return (a ^ (b + 0x9e3779b97f4a7c15 + (a << 6) + (a >> 2)));
  }
};

template <typename Value>
using PoolOf = Pool<Value, HashOfParts>;

struct Pools {
  PoolOf<Placement> placements;
  PoolOf<std::vector<EndpointPort>> port_lists;  // of slices
  PoolOf<TopologyKeys> topology_keys;            // of Services
  PoolOf<std::string> label_texts;               // keys and values of Nodes
};

}  // namespace topolb::core
