// SPDX-License-Identifier: Apache-2.0
#include "agent/node_problems.h"

#include <fmt/format.h>

#include <algorithm>

namespace topolb::agent {

std::optional<core::Problem> ephemeral_node_ports(const std::string& node_name,
                                                  const std::vector<std::uint16_t>& node_ports,
                                                  const dataplane::EphemeralPorts& ephemeral) {
  const auto in_range = [&](std::uint16_t port) { return ephemeral.contains(port); };
  const auto first = std::find_if(node_ports.begin(), node_ports.end(), in_range);
  if (first == node_ports.end()) return std::nullopt;
  const auto last = std::find_if(node_ports.rbegin(), node_ports.rend(), in_range);
  const auto others = std::count_if(first, node_ports.end(), in_range) - 1;
  const auto which =
      others == 0 ? fmt::format("NodePort {} is", *first)
                  : fmt::format("NodePort {} and {} more up to {} are", *first, others, *last);
  return core::Problem{
      .kind = "Node",
      .namespace_name = "",
      .name = node_name,
      .reason = "NodePortsNotReserved",
      .message = fmt::format("{} among the ports that the kernel gives to this node's own "
                             "connections ({}-{}): reserve the cluster's NodePort range there "
                             "(sysctl net.ipv4.ip_local_reserved_ports)",
                             which, ephemeral.first, ephemeral.last)};
}

}  // namespace topolb::agent
