// SPDX-License-Identifier: Apache-2.0
#include "random_cluster.h"

#include "cluster_text.h"

namespace topolb::core::test {
namespace {

const std::vector<std::string>& label_keys() {
  static const std::vector<std::string> keys{std::string(kHostnameLabel), std::string(kZoneLabel),
                                             "rack"};
  return keys;
}

}  // namespace

void RandomCluster::set_keys(Service& service) {
  std::vector<std::string> keys;
  for (const std::string& key : label_keys()) {
    if (one_in(2))
      keys.insert(keys.begin() + below(static_cast<std::uint32_t>(keys.size()) + 1), key);
  }
  if (one_in(3)) keys.emplace_back("*");
  if (one_in(12)) keys.insert(keys.begin(), one_in(2) ? "*" : "rack");  // often invalid
  if (one_in(2)) {
    service.topology_keys_spec = keys;
    return;
  }
  std::string text;
  for (const std::string& key : keys) text += (text.empty() ? "" : ", ") + key;
  service.topology_keys_annotation = text;
}

Service RandomCluster::service(const std::string& name) {
  Service service;
  service.key = {"default", name};
  service.opted_in = one_in(2);
  service.has_service_proxy_name = one_in(8);
  if (service.has_service_proxy_name) service.service_proxy_name = one_in(2) ? "topolb" : "other";
  // The Services share a few addresses, so that they meet.
  if (!one_in(6)) service.cluster_ips.push_back(ip(fmt::format("10.96.0.{}", below(5))));
  if (one_in(3)) service.cluster_ips.push_back(ip(fmt::format("2001:db8::{}", below(5))));
  if (one_in(4)) service.external_ips = {ip("192.0.2.1"), ip("2001:db8:1::1")};
  if (one_in(4)) service.load_balancer_ips = {ip(fmt::format("192.0.2.{}", 1 + below(2)))};
  const auto node_port = [this] {
    return static_cast<std::uint16_t>(one_in(3) ? 30080 + below(3) : 0);
  };
  service.ports.push_back({"http", 80, Protocol::TCP, node_port()});
  if (one_in(3)) {
    const Protocol protocols[] = {Protocol::TCP, Protocol::UDP, Protocol::SCTP};
    service.ports.push_back(
        {"other", static_cast<std::uint16_t>(80 + below(2)), protocols[below(3)], node_port()});
  }
  service.internal_local = one_in(4);
  service.external_local = one_in(4);
  if (one_in(4)) service.affinity_timeout_s = 60;
  if (one_in(2)) set_keys(service);
  return service;
}

Endpoint RandomCluster::endpoint(Family family) {
  Endpoint endpoint;
  const std::uint32_t number = 1 + below(6);
  endpoint.address = family == Family::IPv4 ? ip(fmt::format("10.1.0.{}", number))
                                            : ip(fmt::format("2001:db8:2::{}", number));
  endpoint.ready = one_in(2);
  endpoint.serving = endpoint.ready || one_in(2);
  endpoint.terminating = one_in(3);
  if (!one_in(6)) endpoint.node_name = node_name();
  if (one_in(2)) endpoint.zone = label_value();
  if (!one_in(4)) endpoint.node_hints.push_back(node_name());
  if (!one_in(4)) endpoint.zone_hints.emplace_back(one_in(2) ? "x" : "y");
  return endpoint;
}

EndpointSlice RandomCluster::slice(const std::string& name) {
  EndpointSlice slice;
  slice.key = {"default", name};
  slice.service_name = service_name();
  slice.family = one_in(3) ? Family::IPv6 : Family::IPv4;
  slice.ports.push_back({"http", Protocol::TCP, static_cast<std::uint16_t>(8080 + below(2))});
  if (one_in(2)) slice.ports.push_back({"other", one_in(2) ? Protocol::TCP : Protocol::UDP, 9090});
  const std::uint32_t count = below(5);
  const bool hinted = one_in(2);
  for (std::uint32_t i = 0; i < count; ++i) {
    Endpoint& one = slice.endpoints.emplace_back(endpoint(slice.family));
    if (hinted) continue;
    one.node_hints.clear();
    one.zone_hints.clear();
  }
  return slice;
}

Node RandomCluster::node(const std::string& name) {
  Node node;
  node.name = name;
  for (const std::string& key : label_keys()) {
    if (!one_in(4)) node.labels[key] = label_value();
  }
  if (one_in(3)) node.labels["unused"] = label_value();
  return node;
}

}  // namespace topolb::core::test
