// SPDX-License-Identifier: Apache-2.0
// The source_ranges map: who may dial the load balancer frontends of a Service from outside.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "dataplane/bpf_map.h"
#include "maps/layout.h"
#include "util/ip.h"

namespace topolb::dataplane {

using SourceRangeMap = HashMap<topolb_source_range, std::uint32_t>;

/// Not thread-safe. The map must outlive it.
class SourceRanges {
 public:
  explicit SourceRanges(SourceRangeMap& map) : map_(map) {}

  /// Takes over what the map holds.
  void restore();
  /// Adds ranges to those of a service id. Error: the map is full; then none of them was added.
  Result<void> add(std::uint32_t service_id, const std::vector<IpPrefix>& ranges);
  /// Removes all others of the service id.
  void keep_only(std::uint32_t service_id, const std::vector<IpPrefix>& ranges);
  [[nodiscard]] std::uint32_t in_use() const;

 private:
  void remove(std::uint32_t service_id, const IpPrefix& range);

  SourceRangeMap& map_;
  std::map<std::uint32_t, std::vector<IpPrefix>> ranges_;  // sorted, by service id; none empty
};

/// As the map writes it.
topolb_source_range to_wire(std::uint32_t service_id, const IpPrefix& range);
IpPrefix from_wire(const topolb_source_range& range);

}  // namespace topolb::dataplane
