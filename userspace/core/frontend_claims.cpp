// SPDX-License-Identifier: Apache-2.0
#include "core/frontend_claims.h"

#include <cassert>
#include <iterator>

namespace topolb::core {

void FrontendClaims::add(const FrontendAddress& frontend, const Claimant& claimant) {
  const auto [claim, is_new] = claims_.insert({frontend, claimant});
  if (is_new && is_disputed(claim)) ++losers_;
}

void FrontendClaims::release(const FrontendAddress& frontend, const Claimant& claimant) {
  const auto claim = claims_.find({frontend, claimant});
  if (claim == claims_.end()) return;
  if (is_disputed(claim)) --losers_;
  claims_.erase(claim);
}

bool FrontendClaims::is_disputed(Claims::const_iterator claim) const {
  const auto next = std::next(claim);
  return (next != claims_.end() && next->frontend == claim->frontend) ||
         (claim != claims_.begin() && std::prev(claim)->frontend == claim->frontend);
}

std::vector<Claimant> FrontendClaims::claimants(const FrontendAddress& frontend) const {
  std::vector<Claimant> claimants;
  const auto [first, last] = claims_.equal_range(frontend);
  for (auto claim = first; claim != last; ++claim) claimants.push_back(claim->claimant);
  return claimants;
}

const Claimant& FrontendClaims::winner(const FrontendAddress& frontend) const {
  const auto claim = claims_.lower_bound(frontend);
  assert(claim != claims_.end() && claim->frontend == frontend);
  return claim->claimant;
}

}  // namespace topolb::core
