// SPDX-License-Identifier: Apache-2.0
// Whether what a program did with any packet, however malformed, is what it may do.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "core/plan.h"
#include "support/dissect.h"
#include "support/packet_path.h"

namespace topolb::test {

/// Whether a packet was answered: sent back to where it came from.
bool is_answer(const Bytes& frame, const Outcome& got);

class PacketJudge {
 public:
  /// The services that the path serves.
  explicit PacketJudge(const std::vector<core::ServicePortPlan>& plans);

  /// What is wrong; empty: nothing.
  [[nodiscard]] std::string judge(Hook hook, const Bytes& frame, const Outcome& got) const;

 private:
  [[nodiscard]] bool may_be_ours(Hook hook, const Dissected& packet) const;

  std::set<IpAddress> frontends_;  // and the node
  std::set<IpAddress> backends_;
};

}  // namespace topolb::test
