// SPDX-License-Identifier: Apache-2.0
// The plan of one Service on one node: which backends, in which order of tiers, for which
// kind of traffic. Pure; depends on that Service, its endpoints and Node labels only.
// Source: design.md 3, kube-proxy pkg/proxy/topology.go (CategorizeEndpoints), KEP-536, KEP-1669.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/model.h"
#include "core/service_endpoints.h"
#include "core/topology_keys.h"

namespace topolb::core {

enum class FrontendKind : std::uint8_t { ClusterIP = 1, NodePort, ExternalIP, LoadBalancer };
std::string_view to_string(FrontendKind kind);

/// What clients dial. A NodePort has the unspecified address of its family.
struct Frontend {
  FrontendKind kind = FrontendKind::ClusterIP;
  IpAddress address;
  std::uint16_t port = 0;
  auto operator<=>(const Frontend&) const = default;
};

enum class Verdict : std::uint8_t { Forward = 1, Reject, Drop };
std::string_view to_string(Verdict verdict);  // "forward", "reject", "drop"

/// Backends that match one topology key; sorted, without duplicates; may be empty.
struct Tier {
  std::string key;  // "" without topology keys
  std::vector<SocketAddress> backends;
  bool operator==(const Tier&) const = default;
};

/// What one kind of traffic gets.
struct TrafficPlan {
  /// What the tiers below come to now: forward if one has a backend.
  Verdict verdict = Verdict::Reject;
  /// In order of preference, a tier per topology key; one tier with key "" without keys;
  /// none when the verdict is fixed (invalid keys; drop or nothing usable without keys).
  std::vector<Tier> tiers;
  /// The same for serving-terminating backends, asked only after every tier above is empty.
  /// None when there are no such backends; filled also while ready ones exist.
  std::vector<Tier> terminating_tiers;
  /// Keys are in force (so `tier` is shown).
  bool has_keys = false;

  bool operator==(const TrafficPlan&) const = default;

  /// The first tier with a backend, ready ones first; null if the verdict is not forward.
  [[nodiscard]] const Tier* effective() const;
};

/// Names one Service port in one family: one service id in the kernel.
struct ServicePortKey {
  ObjectKey service;
  std::uint16_t port = 0;
  Protocol protocol = Protocol::TCP;
  Family family = Family::IPv4;
  auto operator<=>(const ServicePortKey&) const = default;
};

struct ServicePortPlan {
  ServicePortKey key;
  std::string port_name;
  std::vector<Frontend> frontends;       // sorted
  std::uint32_t affinity_timeout_s = 0;  // 0: no affinity
  TrafficPlan internal;
  /// From outside, through an external frontend; none without such a frontend.
  std::optional<TrafficPlan> external;
  /// From this node's sockets to an external frontend: Cluster policy whatever the policies
  /// say (kube-proxy's short circuit); none without such a frontend.
  std::optional<TrafficPlan> node_external;
  /// Backends on this node, by their nodeName; sorted.
  std::vector<SocketAddress> local_backends;
  /// Backends without a nodeName: maybe no node of the cluster has them. Sorted.
  std::vector<SocketAddress> nodeless_backends;
  /// Backends in none of the tiers above: they get nothing new, but what they have goes on for as
  /// long as they are here (not ready, terminating, out of this node's tiers). Sorted.
  std::vector<SocketAddress> idle_backends;
  /// Who may dial the load balancer frontends from outside; empty: everybody. Sorted.
  std::vector<IpPrefix> source_ranges;
  bool operator==(const ServicePortPlan&) const = default;
};

/// What the planner must know of the cluster beside the Service and its endpoints.
struct NodeView {
  std::string node_name;
  /// Whether there is a Node object of that name.
  std::function<bool(const std::string& node_name)> is_known;
  /// The value of a node's label, or null without that label or Node object. Must stay valid during
  /// the call.
  std::function<const std::string*(const std::string& node_name, std::string_view key)> label;
};

struct ServicePlan {
  std::vector<ServicePortPlan> ports;  // sorted by key
  std::vector<Problem> problems;
  bool operator==(const ServicePlan&) const = default;
};

/// Total: an invalid Service yields a reject plan and a problem, never an error.
ServicePlan plan_service(const Service& service, const ServiceEndpoints& endpoints,
                         const NodeView& node);

}  // namespace topolb::core

template <>
struct std::hash<topolb::core::ServicePortKey> {
  std::size_t operator()(const topolb::core::ServicePortKey& key) const noexcept {
    const std::hash<std::string> hash;
    return hash(key.service.name) * 31 + hash(key.service.namespace_name) +
           (std::size_t{key.port} << 16U | static_cast<std::size_t>(key.protocol) << 8U |
            static_cast<std::size_t>(key.family));
  }
};
