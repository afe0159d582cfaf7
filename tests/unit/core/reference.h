// SPDX-License-Identifier: Apache-2.0
// design.md 3 a second time, written as plainly as it reads and without anything of the planner:
// slow, for comparison only.
#pragma once

#include <iosfwd>
#include <map>
#include <string>
#include <vector>

#include "core/model.h"
#include "core/plan.h"

namespace topolb::core::test {

/// What one kind of traffic gets, in the words of `topolb plan -o json`.
struct ReferenceTraffic {
  std::string verdict;
  std::string tier;                   // "" = null
  std::vector<std::string> backends;  // sorted as strings
  bool operator==(const ReferenceTraffic&) const = default;
};
std::ostream& operator<<(std::ostream& out, const ReferenceTraffic& traffic);

struct ReferencePort {
  ReferenceTraffic internal;
  ReferenceTraffic external;
  ReferenceTraffic node_external;
};

/// The Nodes known, by name.
using ReferenceNodes = std::map<std::string, Labels>;

ReferencePort reference_port(const Service& service, const ServicePort& port, Family family,
                             const std::vector<EndpointSlice>& slices, const ReferenceNodes& nodes,
                             const std::string& here);

ReferenceTraffic in_words(const TrafficPlan& plan);

}  // namespace topolb::core::test
