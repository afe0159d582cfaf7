// SPDX-License-Identifier: Apache-2.0
#include "core/frontend_claims.h"

#include <cassert>

namespace topolb::core {

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
