// SPDX-License-Identifier: Apache-2.0
// Tidies the flow table up, a slice at a time: removes flows that are over, and what killed agents
// left. Never a flow that a packet would still be taken to: the programs judge by the same rules.
#pragma once

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "dataplane/flow_table.h"

namespace topolb::dataplane {

/// Not thread-safe. The table must outlive it.
class FlowCollector {
 public:
  explicit FlowCollector(FlowTable& table);

  /// The next slice of the table, of kSlices. Bounded work: call it once a second. `now` is
  /// flow_time_now(). Returns how many flows were removed.
  std::uint32_t tick(std::uint32_t now);

  /// Flows in the table, each slice as it was after its last turn.
  [[nodiscard]] std::uint32_t flows() const;

  static constexpr std::uint32_t kSlices = 16;

 private:
  FlowTable& table_;
  std::uint32_t next_ = 0;
  std::array<std::uint32_t, kSlices> flows_{};
  // By slice: rows that were taken when it had its turn.
  std::array<std::vector<std::pair<std::uint32_t, std::uint16_t>>, kSlices> taken_;
};

}  // namespace topolb::dataplane
