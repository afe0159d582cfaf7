// SPDX-License-Identifier: Apache-2.0
// The Kubernetes objects as topolb needs them, decoded, with the API's defaults
// applied. Plain values: no I/O, no pointers into anything. What a decoder could
// not accept never reaches this model (it becomes a Problem); what is legal JSON
// but breaks a rule of Services (invalid topology keys) does, and plan.h judges it.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "util/ip.h"

namespace topolb::core {

/// namespace and name of a namespaced object.
struct ObjectKey {
  std::string namespace_name;
  std::string name;
  auto operator<=>(const ObjectKey&) const = default;
};

/// Something wrong in a user's object. Total order, so that output is deterministic.
struct Problem {
  std::string kind;  // "Service", "EndpointSlice", "Node", "File"
  std::string namespace_name;
  std::string name;
  std::string reason;  // CamelCase, stable: "InvalidTopologyKeys", ...
  std::string message;
  auto operator<=>(const Problem&) const = default;
};

struct ServicePort {
  std::string name;  // "" for the only, unnamed port
  std::uint16_t number = 0;
  Protocol protocol = Protocol::TCP;
  std::uint16_t node_port = 0;  // 0: none
  bool operator==(const ServicePort&) const = default;
};

/// A Service that topolb may serve: not headless, not ExternalName, has ports.
struct Service {
  ObjectKey key;
  std::string service_proxy_name;  // label service.kubernetes.io/service-proxy-name
  bool has_service_proxy_name = false;
  bool opted_in = false;  // label topolb.io/enabled: "true"
  std::vector<IpAddress> cluster_ips;
  std::vector<IpAddress> external_ips;
  std::vector<IpAddress> load_balancer_ips;  // status ingress, without ipMode: Proxy
  /// Who may dial the load balancer IPs; empty: everybody.
  std::vector<IpPrefix> source_ranges;
  std::vector<ServicePort> ports;
  bool internal_local = false;  // internalTrafficPolicy: Local
  bool external_local = false;  // externalTrafficPolicy: Local
  /// Of type LoadBalancer with externalTrafficPolicy: Local only; 0: none.
  std::uint16_t health_check_node_port = 0;
  std::uint32_t affinity_timeout_s = 0;  // 0: no ClientIP affinity
  /// Annotation topolb.io/topology-keys as written, if there; parse_topology_keys judges it.
  std::optional<std::string> topology_keys_annotation;
  /// spec.topologyKeys as written; an element that is no string is "".
  std::vector<std::string> topology_keys_spec;
  bool operator==(const Service&) const = default;
};

struct EndpointPort {
  std::string name;
  Protocol protocol = Protocol::TCP;
  std::uint16_t number = 0;
  bool operator==(const EndpointPort&) const = default;
};

/// Where an endpoint is, and for whom: what many of them have in common.
struct Placement {
  std::string node_name;                // "": none
  std::string zone;                     // "": none
  std::vector<std::string> node_hints;  // hints.forNodes
  std::vector<std::string> zone_hints;  // hints.forZones
  bool operator==(const Placement&) const = default;
};

/// One endpoint: its first address only. Conditions have the API's defaults applied.
struct Endpoint : Placement {
  IpAddress address;
  bool ready = true;
  bool serving = true;
  bool terminating = false;
  bool operator==(const Endpoint&) const = default;
};

/// An EndpointSlice discovery.k8s.io/v1 that belongs to a Service; addressType IPv4 or IPv6.
struct EndpointSlice {
  ObjectKey key;
  std::string service_name;  // label kubernetes.io/service-name, same namespace
  Family family = Family::IPv4;
  std::vector<EndpointPort> ports;  // those with a number
  std::vector<Endpoint> endpoints;
  /// What changed the endpoints last happened then, CLOCK_REALTIME; 0: not known.
  std::uint64_t triggered_ns = 0;
  bool operator==(const EndpointSlice&) const = default;

  [[nodiscard]] ObjectKey service_key() const { return {key.namespace_name, service_name}; }
};

using Labels = std::map<std::string, std::string, std::less<>>;

struct Node {
  std::string name;
  Labels labels;
  /// Being deleted, or about to be by the cluster autoscaler.
  bool leaving = false;
  bool operator==(const Node&) const = default;
};

inline constexpr std::string_view kHostnameLabel = "kubernetes.io/hostname";
inline constexpr std::string_view kZoneLabel = "topology.kubernetes.io/zone";
inline constexpr std::string_view kTopologyKeysAnnotation = "topolb.io/topology-keys";
inline constexpr std::string_view kEnabledLabel = "topolb.io/enabled";
inline constexpr std::string_view kServiceNameLabel = "kubernetes.io/service-name";
inline constexpr std::string_view kHeadlessLabel = "service.kubernetes.io/headless";
inline constexpr std::string_view kServiceProxyNameLabel =
    "service.kubernetes.io/service-proxy-name";
inline constexpr std::uint32_t kDefaultAffinityTimeoutSeconds = 10800;

}  // namespace topolb::core
