// SPDX-License-Identifier: Apache-2.0
#include "core/frontends.h"

#include <algorithm>
#include <tuple>

namespace topolb::core {
namespace {

bool has_family(const std::vector<IpAddress>& addresses, Family family) {
  return std::any_of(addresses.begin(), addresses.end(),
                     [family](const IpAddress& address) { return address.family() == family; });
}

void append(std::vector<Frontend>& frontends, FrontendKind kind,
            const std::vector<IpAddress>& addresses, std::uint16_t port, Family family) {
  for (const IpAddress& address : addresses) {
    if (address.family() == family) frontends.push_back({kind, address, port});
  }
}

// One address and port can be one entry in the kernel only: the first kind stays.
void drop_repeated(std::vector<Frontend>& frontends) {
  std::vector<Frontend> unique;
  unique.reserve(frontends.size());
  for (const Frontend& frontend : frontends) {
    const bool repeated = std::any_of(unique.begin(), unique.end(), [&](const Frontend& other) {
      return other.address == frontend.address && other.port == frontend.port;
    });
    if (!repeated) unique.push_back(frontend);
  }
  frontends = std::move(unique);
}

}  // namespace

std::string_view to_string(FrontendKind kind) {
  switch (kind) {
    case FrontendKind::ClusterIP:
      return "ClusterIP";
    case FrontendKind::NodePort:
      return "NodePort";
    case FrontendKind::ExternalIP:
      return "ExternalIP";
    case FrontendKind::LoadBalancer:
      return "LoadBalancer";
  }
  return "?";
}

bool is_repeated(const Service& service, const ServicePort& port) {
  const auto first =
      std::find_if(service.ports.begin(), service.ports.end(), [&](const ServicePort& other) {
        return other.number == port.number && other.protocol == port.protocol;
      });
  return &*first != &port;
}

std::vector<ServicePortOfFamily> service_ports_of(const Service& service) {
  std::vector<ServicePortOfFamily> ports;
  for (const ServicePort& port : service.ports) {
    if (is_repeated(service, port)) continue;
    for (const Family family : {Family::IPv4, Family::IPv6}) {
      if (has_family(service.cluster_ips, family)) ports.push_back({&port, family});
    }
  }
  std::sort(ports.begin(), ports.end(), [](const auto& a, const auto& b) {
    return std::tie(a.port->number, a.port->protocol, a.family) <
           std::tie(b.port->number, b.port->protocol, b.family);
  });
  return ports;
}

std::vector<Frontend> frontends_of(const Service& service, const ServicePort& port, Family family) {
  std::vector<Frontend> frontends;
  append(frontends, FrontendKind::ClusterIP, service.cluster_ips, port.number, family);
  if (port.node_port != 0) {
    frontends.push_back({FrontendKind::NodePort, IpAddress::unspecified(family), port.node_port});
  }
  append(frontends, FrontendKind::ExternalIP, service.external_ips, port.number, family);
  append(frontends, FrontendKind::LoadBalancer, service.load_balancer_ips, port.number, family);
  if (frontends.size() > 1) {
    std::sort(frontends.begin(), frontends.end());
    drop_repeated(frontends);
  }
  return frontends;
}

bool has_external_frontend(const std::vector<Frontend>& frontends) {
  return std::any_of(frontends.begin(), frontends.end(), [](const Frontend& frontend) {
    return frontend.kind != FrontendKind::ClusterIP;
  });
}

}  // namespace topolb::core
