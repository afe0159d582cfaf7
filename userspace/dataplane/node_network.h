// SPDX-License-Identifier: Apache-2.0
// How this node takes part in the network of its packets: which of its addresses answer NodePorts
// from outside, and what masqueraded packets get as their source. Written to node_addresses and
// settings, where the programs read it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/ephemeral_ports.h"
#include "dataplane/kernel_maps.h"
#include "dataplane/node_addresses.h"
#include "util/ip.h"
#include "util/result.h"

namespace topolb::dataplane {

/// Inclusive, host order.
struct PortRange {
  std::uint16_t first = 0;
  std::uint16_t last = 0;
  bool operator==(const PortRange&) const = default;
};

/// Kubernetes' default of --service-node-port-range.
inline constexpr PortRange kDefaultNodePorts{30000, 32767};

struct NodeNetworkOptions {
  std::vector<IpAddress> node_ips;  // at most one per family; missing ones are found
  /// Where NodePorts answer from outside: the node's addresses in these ranges, of a family without
  /// a range all of them (as kube-proxy); no ranges at all: the primary addresses.
  std::vector<IpPrefix> node_port_ranges;
  std::optional<PortRange> masquerade_ports;  // none: found by free_ports()
};

/// The node's address that its own packets to the world have, per family; or the first that is not
/// on loopback. None: there is no such address.
struct PrimaryAddresses {
  std::optional<IpAddress> ipv4;
  std::optional<IpAddress> ipv6;
  bool operator==(const PrimaryAddresses&) const = default;
};
PrimaryAddresses primary_addresses(const NodeAddresses& addresses,
                                   const std::vector<IpAddress>& node_ips);

/// The longest run of ports from 1024 on that neither the kernel nor Kubernetes hands out. None:
/// there is none of at least 1024 ports.
std::optional<PortRange> free_ports(const EphemeralPorts& ephemeral, PortRange node_ports);

/// Whether NodePorts answer on an address from outside.
bool answers_node_ports(const IpAddress& address, const PrimaryAddresses& primary,
                        const std::vector<IpPrefix>& ranges);

/// The addresses that a server of the node itself listens on to be reached where NodePorts answer,
/// per family: 0.0.0.0 or :: if that is everywhere, or nowhere (as kube-proxy). Link-local IPv6
/// addresses are left out.
std::vector<IpAddress> node_port_listeners(const NodeAddresses& addresses,
                                           const PrimaryAddresses& primary,
                                           const std::vector<IpPrefix>& ranges);

/// Brings node_addresses and settings to the addresses. Error: the first that could not be
/// written; the others are.
Result<void> write_node_network(KernelMaps& maps, const NodeAddresses& addresses,
                                const PrimaryAddresses& primary,
                                const std::vector<IpPrefix>& node_port_ranges);

}  // namespace topolb::dataplane
