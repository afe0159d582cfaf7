// SPDX-License-Identifier: Apache-2.0
#include "dataplane/node_addresses.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>

namespace topolb::dataplane {

Result<std::vector<NodeAddress>> list_node_addresses() {
  ifaddrs* first = nullptr;
  if (::getifaddrs(&first) != 0) return errno_error(errno, "list this node's addresses");
  const std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> owner(first, ::freeifaddrs);
  std::vector<NodeAddress> addresses;
  for (const ifaddrs* at = first; at != nullptr; at = at->ifa_next) {
    if (at->ifa_addr == nullptr) continue;
    std::array<std::uint8_t, 16> bytes = IpAddress::unspecified(Family::IPv4).bytes();
    if (at->ifa_addr->sa_family == AF_INET) {
      const auto* ipv4 = reinterpret_cast<const sockaddr_in*>(at->ifa_addr);
      if ((ntohl(ipv4->sin_addr.s_addr) >> 24) == IN_LOOPBACKNET) continue;
      const auto* octets = reinterpret_cast<const std::uint8_t*>(&ipv4->sin_addr);
      std::copy(octets, octets + 4, bytes.begin() + 12);
    } else if (at->ifa_addr->sa_family == AF_INET6) {
      const auto* ipv6 = reinterpret_cast<const sockaddr_in6*>(at->ifa_addr);
      if (IN6_IS_ADDR_LOOPBACK(&ipv6->sin6_addr) || IN6_IS_ADDR_LINKLOCAL(&ipv6->sin6_addr)) {
        continue;
      }
      std::copy(std::begin(ipv6->sin6_addr.s6_addr), std::end(ipv6->sin6_addr.s6_addr),
                bytes.begin());
    } else {
      continue;
    }
    addresses.push_back({IpAddress(bytes), ::if_nametoindex(at->ifa_name)});
  }
  return addresses;
}

Result<NodeAddresses> read_node_addresses() {
  const auto list = list_node_addresses();
  if (!list) return list.error();
  NodeAddresses addresses;
  for (const auto& [address, index] : *list) addresses.emplace(address, index);
  return addresses;
}

Result<NodeAddressMonitor> NodeAddressMonitor::open() {
  NodeAddressMonitor monitor;
  monitor.fd_ =
      UniqueFd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  if (!monitor.fd_) return errno_error(errno, "open a netlink socket");
  sockaddr_nl local{};
  local.nl_family = AF_NETLINK;
  local.nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_LINK;
  if (::bind(monitor.fd_.get(), reinterpret_cast<const sockaddr*>(&local), sizeof(local)) != 0) {
    return errno_error(errno, "follow this node's addresses");
  }
  return monitor;
}

void NodeAddressMonitor::drain() {
  std::array<char, 8192> buffer{};
  // ENOBUFS (messages were lost) also means: read the addresses again.
  while (::recv(fd_.get(), buffer.data(), buffer.size(), 0) > 0 || errno == ENOBUFS) {
  }
}

}  // namespace topolb::dataplane
