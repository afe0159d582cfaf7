// SPDX-License-Identifier: Apache-2.0
// How the traffic of a whole cluster to one Service spreads over its backends, and what of it
// moves when the Service changes. Pure.
//
// The assumption: every node sends as much to each Service port as every other node, and a node's
// connections spread evenly over the backends that it may use. All traffic to one Service port is
// 1; shares are parts of it. A fair share is the same part of what is forwarded for every usable
// backend (ready, or terminating where no ready one is used); a ratio is a share divided by it.
//
// An example: zone a has 3 nodes and 1 backend, zone b 1 node and 1 backend; the key is the zone.
// The backend in a gets 0.75, its ratio is 1.5; that in b 0.25, its ratio is 0.5.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/node_groups.h"

namespace topolb::core {

/// What nodes get; those with the same outcome are in one.
struct Outcome {
  Verdict verdict = Verdict::Reject;
  std::optional<std::string> tier;      // the key that decides; none: without keys, or nothing does
  std::vector<SocketAddress> backends;  // sorted; empty unless the verdict is forward
  std::vector<std::uint32_t> nodes;     // their numbers, ascending
  bool operator==(const Outcome&) const = default;
};

struct BackendLoad {
  SocketAddress backend;
  std::string node;  // "": none
  double share = 0;
  double ratio = 0;
};

/// The nodes with one value of a label, and the backends on them.
struct DomainLoad {
  std::string key;
  std::optional<std::string> value;  // none: the nodes without that label, or that are not known
  std::size_t nodes = 0;
  std::size_t nodes_without_backend = 0;  // to which the verdict is reject or drop
  std::size_t backends = 0;
  double sent = 0;   // by its nodes, forwarded or not
  double kept = 0;   // of what its nodes send, what its own backends get
  double share = 0;  // of its backends together
  double ratio = 0;  // 0 without backends
};

/// One kind of traffic to one Service port.
struct TrafficSpread {
  std::vector<Outcome> outcomes;      // sorted by their first nodes
  std::vector<BackendLoad> backends;  // every usable one, sorted by address
  /// By each key of the Service but the hostname and `*`, or by the zone without such keys; then
  /// by value, none last. Keys by which every node is a domain of its own are left out.
  std::vector<DomainLoad> domains;

  [[nodiscard]] std::size_t nodes_with(Verdict verdict) const;
};

struct PortSpread {
  ServicePortKey key;
  std::string port_name;
  std::vector<std::string> topology_keys;  // of the Service; empty when invalid
  TrafficSpread internal;
  std::optional<TrafficSpread> external;  // none without an external frontend
};

/// Sorted by key. `nodes` are all nodes of the cluster.
std::vector<PortSpread> spread_on_all_nodes(const Service& service,
                                            const ServiceEndpoints& endpoints, NodeTable& nodes);

/// Nodes for which the same changes.
struct Move {
  std::vector<std::uint32_t> nodes;  // their numbers, ascending
  Outcome before;                    // without its nodes
  Outcome after;                     // without its nodes
  double share = 0;                  // of these nodes' traffic, what goes elsewhere than before
  bool operator==(const Move&) const = default;
};

struct TrafficMoves {
  std::vector<Move> moves;       // every node is in one; sorted by their first nodes
  double share = 0;              // of the traffic of all nodes
  std::size_t moved_nodes = 0;   // with a share above 0
  std::size_t losing_nodes = 0;  // that have backends before, and none after
  std::size_t gaining_nodes = 0;
  bool operator==(const TrafficMoves&) const = default;
};

struct PortMoves {
  ServicePortKey key;
  std::string port_name;
  TrafficMoves internal;
  std::optional<TrafficMoves> external;
};

/// From `before` to `after`, which have the same ports. Sorted by key.
std::vector<PortMoves> moves_on_all_nodes(const Service& before, const Service& after,
                                          const ServiceEndpoints& endpoints, NodeTable& nodes);

}  // namespace topolb::core
