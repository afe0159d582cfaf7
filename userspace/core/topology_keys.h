// SPDX-License-Identifier: Apache-2.0
// topologyKeys: reading and judging the list. Pure. Source: design.md 3.2, KEP-536.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/model.h"

namespace topolb::core {

inline constexpr std::string_view kAnyTopology = "*";

/// The keys of a Service: either a valid list (empty = no constraint), or why it is invalid.
struct TopologyKeys {
  std::vector<std::string> keys;
  std::string problem_reason;   // "" = valid; "InvalidTopologyKeys" or "TopologyKeysConflict"
  std::string problem_rule;     // the rule that is broken, and what to write instead
  std::string problem_message;  // that, and what it means for connections
  [[nodiscard]] bool valid() const { return problem_reason.empty(); }
  bool operator==(const TopologyKeys&) const = default;
};

/// The annotation when it is set and not empty, else spec.topologyKeys; then the rules:
/// at most 16, each a qualified label key or "*", "*" last, none twice, and not together
/// with externalTrafficPolicy: Local.
TopologyKeys topology_keys_of(const Service& service);

/// The annotation's text as a list: JSON if it starts with "[", else comma-separated; entries
/// trimmed; blank = empty list. None: it starts with "[" and is no JSON list of strings.
std::optional<std::vector<std::string>> parse_topology_keys(std::string_view text);

/// "" if the list keeps the rules, else the rule it breaks, in words.
std::string judge_topology_keys(const std::vector<std::string>& keys);

/// Kubernetes' qualified name: [prefix "/"] name (apimachinery IsQualifiedName).
bool is_label_key(std::string_view text);

}  // namespace topolb::core
