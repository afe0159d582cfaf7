// SPDX-License-Identifier: Apache-2.0
// A Service's topology keys as they are and as they shall be: what is judged before the API is
// asked, and how they are shown. Pure.
#pragma once

#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "cli/json.h"
#include "core/topology_keys.h"
#include "kube/service_api.h"

namespace topolb::cli {

/// The keys in force of a Service.
struct KeysDescription {
  std::string_view source;        // "annotation", "spec" or "none"
  std::vector<std::string> keys;  // empty: none, or invalid
  core::TopologyKeys judged;
};
KeysDescription describe_keys(const core::Service& service);
Json to_json(const KeysDescription& description);
/// "a, b", "a (spec.topologyKeys)", "none", "invalid: ..."
std::string keys_line(const KeysDescription& description);

void print_keys(std::ostream& out, const kube::ServiceObject& object);
void print_keys_json(std::ostream& out, const kube::ServiceObject& object);

struct TopologyChange {
  kube::ServiceObject object;  // as it is
  kube::KeysChange keys;

  [[nodiscard]] core::Service before() const;
  [[nodiscard]] core::Service after() const;
  [[nodiscard]] bool changes() const;
  /// "" if the Service can have these keys, else what is in the way.
  [[nodiscard]] std::string judge() const;
  /// Whether the API server has taken what it was sent.
  [[nodiscard]] bool is_in(const kube::ServiceObject& answer) const;
  [[nodiscard]] std::string not_taken() const;
  /// The API server's refusal in better words than its own; "": it has none.
  [[nodiscard]] std::string explain(const Error& refusal) const;
};

}  // namespace topolb::cli
