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

/// Whether what an ICMP error quotes is a wrapped packet (direct server return).
bool is_about_wrapper(const DissectedIp& quoted);

class PacketJudge {
 public:
  /// The services that the path serves; `dsr`: with direct server return.
  explicit PacketJudge(const std::vector<core::ServicePortPlan>& plans, bool dsr = false);

  /// What is wrong; empty: nothing.
  [[nodiscard]] std::string judge(Hook hook, const Bytes& frame, const Outcome& got) const;

 private:
  [[nodiscard]] bool may_be_ours(Hook hook, const Dissected& packet) const;
  [[nodiscard]] std::string judge_wrapped(const Bytes& frame, const Dissected& packet,
                                          const Bytes& wrapped) const;
  [[nodiscard]] std::string judge_wrapper(const Bytes& frame, const Outcome& got) const;

  bool dsr_;
  std::set<IpAddress> nodes_;      // this one's addresses
  std::set<IpAddress> frontends_;  // and the nodes
  std::set<IpAddress> backends_;
};

}  // namespace topolb::test
