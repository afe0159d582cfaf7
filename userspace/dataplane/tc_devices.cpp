// SPDX-License-Identifier: Apache-2.0
#include "dataplane/tc_devices.h"

#include <fnmatch.h>
#include <linux/rtnetlink.h>
#include <net/if_arp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <functional>
#include <set>

#include "dataplane/node_addresses.h"

namespace topolb::dataplane {
namespace {

Result<UniqueFd> open_netlink(std::uint32_t groups, int flags) {
  UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | flags, NETLINK_ROUTE));
  if (!fd) return errno_error(errno, "open a netlink socket");
  sockaddr_nl local{};
  local.nl_family = AF_NETLINK;
  local.nl_groups = groups;
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&local), sizeof(local)) != 0) {
    return errno_error(errno, "follow the devices");
  }
  return fd;
}

/// Asks for a dump and hands over each message of it. Source: netlink(7), rtnetlink(7).
Result<void> dump(std::uint16_t type, const std::function<void(const nlmsghdr&)>& handle) {
  const auto fd = open_netlink(0, 0);
  if (!fd) return fd.error();
  struct {
    nlmsghdr header;
    rtgenmsg body;
  } request{};
  request.header.nlmsg_len = NLMSG_LENGTH(sizeof(request.body));
  request.header.nlmsg_type = type;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.body.rtgen_family = AF_UNSPEC;
  if (::send(fd->get(), &request, request.header.nlmsg_len, 0) < 0) {
    return errno_error(errno, "ask for the devices");
  }
  alignas(nlmsghdr) std::array<char, 65536> buffer{};
  for (;;) {
    const ssize_t received = ::recv(fd->get(), buffer.data(), buffer.size(), 0);
    if (received < 0 && errno == EINTR) continue;
    if (received < 0) return errno_error(errno, "read the devices");
    auto length = static_cast<std::uint32_t>(received);
    for (const auto* at = reinterpret_cast<const nlmsghdr*>(buffer.data()); NLMSG_OK(at, length);
         at = NLMSG_NEXT(at, length)) {
      if (at->nlmsg_type == NLMSG_DONE) return {};
      if (at->nlmsg_type == NLMSG_ERROR) return make_error("read the devices: netlink error");
      handle(*at);
    }
  }
}

std::uint32_t number_in(const rtattr* attribute) {
  return *static_cast<const std::uint32_t*>(RTA_DATA(attribute));
}

/// Whether a route, or one of its next hops, goes by way of a router.
bool has_gateway(const rtattr* at, int length) {
  for (; RTA_OK(at, length); at = RTA_NEXT(at, length)) {
    if (at->rta_type == RTA_GATEWAY || at->rta_type == RTA_VIA) return true;
  }
  return false;
}

/// The devices by which one route leads away from this node: a default route, or one by way of a
/// router, as those to other nodes' pods are. Pods of this node are on their devices themselves.
void add_route(const nlmsghdr& message, std::set<std::uint32_t>& devices) {
  const auto* route = static_cast<const rtmsg*>(NLMSG_DATA(&message));
  if (message.nlmsg_type != RTM_NEWROUTE || route->rtm_type != RTN_UNICAST ||
      (route->rtm_flags & RTM_F_CLONED) != 0) {
    return;
  }
  auto length = static_cast<int>(RTM_PAYLOAD(&message));
  const bool leads_away = route->rtm_dst_len == 0 || has_gateway(RTM_RTA(route), length);
  for (const auto* at = RTM_RTA(route); RTA_OK(at, length); at = RTA_NEXT(at, length)) {
    if (at->rta_type == RTA_OIF && leads_away) devices.insert(number_in(at));
    if (at->rta_type != RTA_MULTIPATH) continue;
    const auto* hop = static_cast<const rtnexthop*>(RTA_DATA(at));
    auto left = static_cast<int>(RTA_PAYLOAD(at));
    while (left >= static_cast<int>(sizeof(*hop)) && RTNH_OK(hop, left)) {
      const int attributes = static_cast<int>(hop->rtnh_len) - static_cast<int>(sizeof(*hop));
      if (leads_away || has_gateway(RTNH_DATA(hop), attributes)) {
        devices.insert(static_cast<std::uint32_t>(hop->rtnh_ifindex));
      }
      left -= static_cast<int>(RTNH_ALIGN(hop->rtnh_len));
      hop = RTNH_NEXT(hop);
    }
  }
}

void add_device(const nlmsghdr& message, std::vector<TcDevice>& devices) {
  const auto* link = static_cast<const ifinfomsg*>(NLMSG_DATA(&message));
  if (message.nlmsg_type != RTM_NEWLINK || link->ifi_type != ARPHRD_ETHER) return;
  auto length = static_cast<int>(IFLA_PAYLOAD(&message));
  for (const auto* at = IFLA_RTA(link); RTA_OK(at, length); at = RTA_NEXT(at, length)) {
    if (at->rta_type != IFLA_IFNAME) continue;
    devices.push_back(
        {static_cast<std::uint32_t>(link->ifi_index), static_cast<const char*>(RTA_DATA(at))});
  }
}

bool matches_any(const std::string& name, const std::vector<std::string>& patterns) {
  return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
    return ::fnmatch(pattern.c_str(), name.c_str(), 0) == 0;
  });
}

// A router's tables change all the time; which devices they name does not.
bool is_about_devices(const nlmsghdr& message, std::set<std::uint32_t>& known) {
  if (message.nlmsg_type != RTM_NEWROUTE && message.nlmsg_type != RTM_DELROUTE) {
    // The device may be another one of the same index, whose routes come later.
    known.erase(
        static_cast<std::uint32_t>(static_cast<const ifinfomsg*>(NLMSG_DATA(&message))->ifi_index));
    return true;
  }
  const auto before = known.size();
  add_route(message, known);
  return known.size() != before ||
         static_cast<const rtmsg*>(NLMSG_DATA(&message))->rtm_dst_len == 0;
}

}  // namespace

Result<TcDevices> find_tc_devices(const TcDeviceRules& rules) {
  std::vector<TcDevice> all;
  std::set<std::uint32_t> external;
  if (auto read = dump(RTM_GETLINK, [&](const nlmsghdr& m) { add_device(m, all); }); !read) {
    return read.error();
  }
  if (rules.external.empty()) {
    auto read = dump(RTM_GETROUTE, [&](const nlmsghdr& m) { add_route(m, external); });
    if (!read) return read.error();
    const auto addresses = read_node_addresses();
    if (!addresses) return addresses.error();
    for (const auto& address : rules.addresses) {
      if (const auto at = addresses->find(address); at != addresses->end()) {
        external.insert(at->second);
      }
    }
  }
  std::sort(all.begin(), all.end());
  TcDevices chosen;
  for (const auto& device : all) {
    if (external.contains(device.index) || matches_any(device.name, rules.external)) {
      chosen.external.push_back(device);
    } else if (matches_any(device.name, rules.pods)) {
      chosen.pods.push_back(device);
    }
  }
  return chosen;
}

Result<TcDeviceMonitor> TcDeviceMonitor::open() {
  TcDeviceMonitor monitor;
  auto fd = open_netlink(RTMGRP_LINK | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE, SOCK_NONBLOCK);
  if (!fd) return fd.error();
  monitor.fd_ = std::move(*fd);
  return monitor;
}

bool TcDeviceMonitor::drain() {
  bool relevant = false;
  alignas(nlmsghdr) std::array<char, 8192> buffer{};
  for (;;) {
    const ssize_t received = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
    if (received < 0 && errno == ENOBUFS) relevant = true;  // messages were lost
    if (received < 0 && (errno == ENOBUFS || errno == EINTR)) continue;
    if (received <= 0) return relevant;
    auto length = static_cast<std::uint32_t>(received);
    for (const auto* at = reinterpret_cast<const nlmsghdr*>(buffer.data()); NLMSG_OK(at, length);
         at = NLMSG_NEXT(at, length)) {
      relevant = is_about_devices(*at, known_) || relevant;
    }
  }
}

}  // namespace topolb::dataplane
