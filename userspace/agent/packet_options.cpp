// SPDX-License-Identifier: Apache-2.0
#include "agent/packet_options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>

namespace topolb::agent {
namespace {

constexpr const char* kGroup =
    "Packets from outside and from pods with a network stack of their own";
constexpr const char* kSizes = "How large the maps may get";

using Wrong = std::optional<std::string>;  // none: all is well

Wrong read_devices(const PacketTexts& texts, PacketOptions& options) {
  const auto none = std::find(texts.devices.begin(), texts.devices.end(), "none");
  if (none != texts.devices.end()) {
    if (texts.devices.size() > 1 || !texts.pod_devices.empty()) {
      return "--devices: none stands alone, without --pod-devices";
    }
    options.tc.enabled = false;
    return std::nullopt;
  }
  options.tc.devices.external = texts.devices;
  options.tc.devices.pods = texts.pod_devices;
  return std::nullopt;
}

Wrong read_node_ips(const PacketTexts& texts, PacketOptions& options) {
  for (const auto& text : texts.node_ips) {
    const auto address = IpAddress::parse(text);
    if (!address || address->is_unspecified()) {
      return fmt::format("--node-ip: \"{}\" is not the address of a node", text);
    }
    for (const auto& other : options.network.node_ips) {
      if (other.family() == address->family()) {
        return fmt::format("--node-ip: {} and {} are both {}: one of each family",
                           other.to_string(), text, to_string(address->family()));
      }
    }
    options.network.node_ips.push_back(*address);
  }
  return std::nullopt;
}

Wrong read_node_port_addresses(const PacketTexts& texts, PacketOptions& options) {
  for (const auto& text : texts.node_port_addresses) {
    if (text == "primary" && texts.node_port_addresses.size() == 1) return std::nullopt;
    const auto range = IpPrefix::parse(text);
    if (!range) {
      return fmt::format("--nodeport-addresses: \"{}\" is no range as 192.0.2.0/24{}", text,
                         text == "primary" ? ", and primary stands alone" : ", and not primary");
    }
    options.network.node_port_ranges.push_back(*range);
  }
  return std::nullopt;
}

Wrong read_masquerade_ports(const PacketTexts& texts, PacketOptions& options) {
  const std::string& text = texts.masquerade_ports;
  if (text.empty()) return std::nullopt;
  dataplane::PortRange ports;
  const char* const end = text.data() + text.size();
  const auto [dash, failed] = std::from_chars(text.data(), end, ports.first);
  if (failed == std::errc{} && dash != end && *dash == '-') {
    const auto [at, failed_too] = std::from_chars(dash + 1, end, ports.last);
    if (failed_too == std::errc{} && at == end && ports.first > 0 && ports.first <= ports.last) {
      options.network.masquerade_ports = ports;
      return std::nullopt;
    }
  }
  return fmt::format("--masquerade-ports: \"{}\" is not FIRST-LAST", text);
}

}  // namespace

void add_packet_flags(CLI::App& app, PacketOptions& options, PacketTexts& texts) {
  const auto list = [&](const char* flag, std::vector<std::string>& value, const char* type,
                        const char* what) {
    app.add_option(flag, value, what)->delimiter(',')->type_name(type)->group(kGroup);
  };
  list("--devices", texts.devices, "PATTERN[,PATTERN]",
       "devices to the outside and to other nodes, as eth0 or bond* (default: those of default "
       "routes, of routes by a router and of the node's addresses; none: leave packets alone)");
  list("--pod-devices", texts.pod_devices, "PATTERN[,PATTERN]",
       "devices to pods whose sockets are not in the cgroup (gVisor, Kata, virtual machines), as "
       "veth* (default: none)");
  list("--node-ip", texts.node_ips, "ADDRESS[,ADDRESS]",
       "the node's address of each family, which packets to other nodes' pods get as their source "
       "where the device has no other (default: that of the node's own packets to the world)");
  list("--nodeport-addresses", texts.node_port_addresses, "primary|RANGE[,RANGE]",
       "where NodePorts answer from outside: the node's address of each family (primary, the "
       "default), or its addresses in ranges, as 192.0.2.0/24");
  app.add_option("--masquerade-ports", texts.masquerade_ports,
                 "source ports of packets to other nodes' pods (default: the longest range of 1024 "
                 "to 65535 without ephemeral ports and 30000-32767)")
      ->type_name("FIRST-LAST")
      ->group(kGroup);
  app.add_flag("--keep-tcp-of-gone-backends", options.keep_tcp_of_gone_backends,
               "let TCP connections run on to a backend that is gone, instead of resetting them")
      ->group(kGroup);
  app.add_flag("--dsr", options.tc.dsr,
               "direct server return: the node of a remote backend answers clients from outside "
               "itself, with their addresses seen by the backend (every node needs the flag)")
      ->group(kGroup);
  const auto size = [&](const char* flag, std::uint32_t& value, const char* what) {
    app.add_option(flag, value, fmt::format("{} (default: {})", what, value))
        ->check(CLI::Range(2U, 1U << 24U))
        ->type_name("N")
        ->group(kSizes);
  };
  size("--max-flows", options.tc.sizes.most_flows, "flows on the per-packet path");
  size("--max-fragments", options.tc.sizes.fragments,
       "fragmented datagrams at a time, made at once");
}

std::optional<std::string> read_packet_texts(const PacketTexts& texts, PacketOptions& options) {
  for (const auto& read :
       {read_devices, read_node_ips, read_node_port_addresses, read_masquerade_ports}) {
    if (auto wrong = read(texts, options)) return wrong;
  }
  return std::nullopt;
}

}  // namespace topolb::agent
