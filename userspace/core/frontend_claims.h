// SPDX-License-Identifier: Apache-2.0
// Who asks for which frontend. Two Services may ask for the same one; the first by key gets it.
// Private to core.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <set>
#include <vector>

#include "core/frontend_address.h"
#include "core/model.h"

namespace topolb::core {

/// A Service port that asks for a frontend; the rest of its ServicePortKey is in the frontend.
struct Claimant {
  const ObjectKey* service = nullptr;
  std::uint16_t port = 0;

  std::strong_ordering operator<=>(const Claimant& other) const {
    if (const auto order = *service <=> *other.service; order != 0) return order;
    return port <=> other.port;
  }
  bool operator==(const Claimant& other) const { return (*this <=> other) == 0; }
};

/// The ObjectKeys given must live until they are released.
class FrontendClaims {
 public:
  /// What is there already, or not there, is no error and changes nothing.
  void add(const FrontendAddress& frontend, const Claimant& claimant);
  void release(const FrontendAddress& frontend, const Claimant& claimant);
  /// All of them; the first one gets it.
  [[nodiscard]] std::vector<Claimant> claimants(const FrontendAddress& frontend) const;
  /// Who gets it. @pre somebody claims it.
  [[nodiscard]] const Claimant& winner(const FrontendAddress& frontend) const;
  /// Somebody does not get what it claims.
  [[nodiscard]] bool any_conflict() const { return losers_ > 0; }

 private:
  struct Claim {
    FrontendAddress frontend;
    Claimant claimant;
    auto operator<=>(const Claim&) const = default;
  };
  /// Finds the claims of one frontend in the set.
  struct ByFrontend {
    using is_transparent = void;
    bool operator()(const Claim& a, const Claim& b) const { return a < b; }
    bool operator()(const Claim& a, const FrontendAddress& b) const { return a.frontend < b; }
    bool operator()(const FrontendAddress& a, const Claim& b) const { return a < b.frontend; }
  };

  using Claims = std::set<Claim, ByFrontend>;
  [[nodiscard]] bool is_disputed(Claims::const_iterator claim) const;

  Claims claims_;
  std::size_t losers_ = 0;
};

}  // namespace topolb::core
