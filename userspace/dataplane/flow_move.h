// SPDX-License-Identifier: Apache-2.0
// Carries the flows of one table over to another that takes its place, under traffic: programs use
// first the one, then the other, and for a moment both.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <vector>

#include "dataplane/flow_table.h"

namespace topolb::dataplane {

/// Both tables must outlive it.
class FlowMove {
 public:
  /// `admit` may change what a flow says of this node's maps; false: the flow stays behind.
  FlowMove(const FlowTable& from, FlowTable& to, std::function<bool(topolb_flow&)> admit);

  /// Before any program uses `to`: copies all flows.
  void begin();
  /// Once no program uses `from`: copies what has come there since, brings along what has become of
  /// the others there, and takes away those that have ended there, unless their client goes on in
  /// `to`. What has ended in `to` is not brought back.
  void finish();

 private:
  struct Copy {
    std::uint32_t from_id;
    std::uint32_t id;
    std::uint16_t from_generation;
    std::uint16_t generation;
    // As copied.
    std::uint32_t touched_tick;
    std::array<std::uint16_t, 2> fin_ends;
    std::uint32_t touched;
    std::uint32_t state;
  };

  void copy(std::uint32_t from_id, topolb_flow flow);
  void bring_along(const Copy& copy, const topolb_flow& now);
  void take_away(const Copy& copy);

  const FlowTable& from_;
  FlowTable& to_;
  std::function<bool(topolb_flow&)> admit_;
  std::vector<Copy> copies_;  // by from_id
};

}  // namespace topolb::dataplane
