// SPDX-License-Identifier: Apache-2.0
// Why a Service gets the backends that it gets on one node, and why not the others. Pure; made
// from the planner's own decisions (plan.h), so that the two cannot differ.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/model.h"
#include "core/plan.h"

namespace topolb::core {

enum class EndpointState : std::uint8_t {
  Ready = 1,
  Terminating,  // serving while it terminates: the fallback of KEP-1669
  NotReady,
};
std::string_view to_string(EndpointState state);  // "ready", "terminating", "not ready"

struct EndpointExplanation {
  SocketAddress backend;
  std::string node;  // "": it has none
  std::string zone;  // of its Node object, else its own; "": none
  EndpointState state = EndpointState::NotReady;
  bool chosen = false;
  std::string first_key;  // the first topology key that it matches; "": none, or no keys in force
  std::string reason;     // why it is in or out
};

/// One kind of traffic to one Service port.
struct TrafficExplanation {
  Verdict verdict = Verdict::Reject;
  std::string tier;    // the topology key that decides; "": none does
  std::string reason;  // why this verdict and tier: "tier 2 of 3: topology.kubernetes.io/zone=z1"
  std::vector<EndpointExplanation> endpoints;  // all of the port, sorted by backend
};

struct PortExplanation {
  ServicePortKey key;
  std::string port_name;
  TrafficExplanation internal;
  std::optional<TrafficExplanation> external;  // none without external frontend
};

struct ServiceExplanation {
  std::vector<std::string> topology_keys;  // in force; empty when invalid
  std::vector<PortExplanation> ports;      // sorted by key
  std::vector<Problem> problems;           // as plan_service() gives them
};

/// Inputs as plan_service() has them; the chosen endpoints are the plan's effective backends.
ServiceExplanation explain_service(const Service& service, const ServiceEndpoints& endpoints,
                                   const NodeView& node);

}  // namespace topolb::core
