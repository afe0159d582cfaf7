// SPDX-License-Identifier: Apache-2.0
#include "dataplane/node_network.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <net/if.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "dataplane/kernel_state.h"
#include "dataplane/masquerades.h"

namespace topolb::dataplane {
namespace {

constexpr std::uint32_t kFirstUnprivilegedPort = 1024;
constexpr std::uint32_t kFewestPorts = 1024;

// The source that the routing table gives to packets to an address out in the world. Connecting a
// UDP socket looks the route up and sends nothing.
std::optional<IpAddress> source_of_packets_to(const char* world) {
  const auto to = *IpAddress::parse(world);
  const bool ipv4 = to.family() == Family::IPv4;
  const UniqueFd socket(::socket(ipv4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in6 address{};  // large enough for either family
  socklen_t length = sizeof(address);
  auto* any = reinterpret_cast<sockaddr*>(&address);
  if (ipv4) {
    auto* at = reinterpret_cast<sockaddr_in*>(&address);
    at->sin_family = AF_INET;
    at->sin_port = htons(9);
    std::memcpy(&at->sin_addr, to.bytes().data() + 12, sizeof(at->sin_addr));
    length = sizeof(*at);
  } else {
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(9);
    std::memcpy(&address.sin6_addr, to.bytes().data(), sizeof(address.sin6_addr));
  }
  if (!socket || ::connect(socket.get(), any, length) != 0) return std::nullopt;
  length = sizeof(address);
  if (::getsockname(socket.get(), any, &length) != 0) return std::nullopt;
  auto bytes = IpAddress::unspecified(to.family()).bytes();
  if (ipv4) {
    std::memcpy(bytes.data() + 12, &reinterpret_cast<sockaddr_in*>(&address)->sin_addr, 4);
  } else {
    std::memcpy(bytes.data(), &address.sin6_addr, bytes.size());
  }
  return IpAddress(bytes);
}

std::optional<IpAddress> first_not_on_loopback(const NodeAddresses& addresses, Family family) {
  const auto loopback = ::if_nametoindex("lo");
  std::optional<IpAddress> first;
  std::uint32_t first_index = 0;
  for (const auto& [address, index] : addresses) {
    if (address.family() != family || index == loopback) continue;
    if (first && index >= first_index) continue;
    first = address;
    first_index = index;
  }
  return first;
}

std::optional<IpAddress> primary_address(const NodeAddresses& addresses,
                                         const std::vector<IpAddress>& node_ips, Family family,
                                         const char* world) {
  for (const auto& address : node_ips) {
    if (address.family() == family) return address;
  }
  const auto source = source_of_packets_to(world);
  if (source && addresses.contains(*source)) return source;
  return first_not_on_loopback(addresses, family);
}

}  // namespace

PrimaryAddresses primary_addresses(const NodeAddresses& addresses,
                                   const std::vector<IpAddress>& node_ips) {
  // Addresses of documentation (RFC 5737, RFC 3849): no node has a route of its own to them.
  return {primary_address(addresses, node_ips, Family::IPv4, "203.0.113.1"),
          primary_address(addresses, node_ips, Family::IPv6, "2001:db8::1")};
}

std::optional<PortRange> free_ports(const EphemeralPorts& ephemeral, PortRange node_ports) {
  std::uint32_t best_first = 0;
  std::uint32_t best_length = 0;
  std::uint32_t first = kFirstUnprivilegedPort;
  for (std::uint32_t port = first; port <= 65536; ++port) {
    const auto number = static_cast<std::uint16_t>(port);
    const bool taken = port == 65536 || (number >= ephemeral.first && number <= ephemeral.last) ||
                       (number >= node_ports.first && number <= node_ports.last);
    if (!taken) continue;
    if (port - first > best_length) {
      best_first = first;
      best_length = port - first;
    }
    first = port + 1;
  }
  if (best_length < kFewestPorts) return std::nullopt;
  return PortRange{static_cast<std::uint16_t>(best_first),
                   static_cast<std::uint16_t>(best_first + best_length - 1)};
}

bool answers_node_ports(const IpAddress& address, const PrimaryAddresses& primary,
                        const std::vector<IpPrefix>& ranges) {
  if (ranges.empty()) return address == primary.ipv4 || address == primary.ipv6;
  bool any_of_family = false;
  for (const auto& range : ranges) {
    if (range.address.family() != address.family()) continue;
    any_of_family = true;
    if (range.contains(address)) return true;
  }
  return !any_of_family;
}

std::vector<IpAddress> node_port_listeners(const NodeAddresses& addresses,
                                           const PrimaryAddresses& primary,
                                           const std::vector<IpPrefix>& ranges) {
  std::vector<IpAddress> listeners;
  for (const auto family : {Family::IPv4, Family::IPv6}) {
    const auto is_of_family = [&](const IpPrefix& range) {
      return range.address.family() == family;
    };
    const bool everywhere =
        !ranges.empty() && (std::none_of(ranges.begin(), ranges.end(), is_of_family) ||
                            std::any_of(ranges.begin(), ranges.end(), [&](const auto& range) {
                              return is_of_family(range) && range.bits == 0;
                            }));
    const auto before = listeners.size();
    for (const auto& [address, index] : addresses) {
      if (everywhere || address.family() != family) continue;
      if (answers_node_ports(address, primary, ranges)) listeners.push_back(address);
    }
    if (listeners.size() == before) listeners.push_back(IpAddress::unspecified(family));
  }
  return listeners;
}

Result<void> write_node_network(KernelMaps& maps, const NodeAddresses& addresses,
                                const PrimaryAddresses& primary,
                                const std::vector<IpPrefix>& node_port_ranges) {
  Result<void> outcome;
  std::map<IpAddress, topolb_node_address> present;
  for (const auto& [address, value] : maps.node_addresses.entries()) {
    present.emplace(from_wire(address), value);
  }
  for (const auto& [address, index] : addresses) {
    const bool answers = answers_node_ports(address, primary, node_port_ranges);
    const topolb_node_address wanted{
        .interface_index = index,
        .flags = answers ? std::uint32_t{TOPOLB_NODE_ADDRESS_NODE_PORTS} : 0U};
    const auto found = present.find(address);
    if (found != present.end() && found->second.interface_index == wanted.interface_index &&
        found->second.flags == wanted.flags) {
      continue;
    }
    auto put = maps.node_addresses.put(to_wire(address), wanted);
    if (!put && outcome) {
      outcome = Error{put.error().code,
                      fmt::format("node address {}: {}", address.to_string(), put.error().what)};
    }
  }
  for (const auto& [address, value] : present) {
    if (!addresses.contains(address)) (void)maps.node_addresses.erase(to_wire(address));
  }
  auto chosen = choose_masquerades(maps.settings[0], primary);
  choose_node_port_rows(maps.settings[0], [&](const IpAddress& address) {
    return addresses.contains(address) && answers_node_ports(address, primary, node_port_ranges);
  });
  return outcome ? chosen : outcome;
}

}  // namespace topolb::dataplane
