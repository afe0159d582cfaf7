// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "kube/decode_object.h"

namespace topolb::kube {
namespace {

constexpr std::int64_t kMaxAffinityTimeoutSeconds = 86400;  // one day, as the API's validation
// An annotation that is no string must not be read as "no keys": this text is no list of keys.
constexpr std::string_view kNoTopologyKeyList = "[";

void read_metadata(const Fields& object, core::Service& service) {
  const auto metadata = object.child("metadata");
  if (!metadata) return;
  metadata->for_each_entry("labels", [&](std::string_view name, auto value) {
    if (name == core::kServiceProxyNameLabel) {
      service.has_service_proxy_name = true;
      service.service_proxy_name = value.value_or("");
    } else if (name == core::kEnabledLabel) {
      service.opted_in = value == "true";
    }
  });
  metadata->for_each_entry("annotations", [&](std::string_view name, auto value) {
    if (name == core::kTopologyKeysAnnotation) {
      service.topology_keys_annotation = value.value_or(kNoTopologyKeyList);
    }
  });
}

void read_spec_topology_keys(const Fields& spec, core::Service& service) {
  auto& keys = service.topology_keys_spec;
  if (!spec.is_list("topologyKeys")) {
    keys.emplace_back();  // one invalid key, judged as such
    return;
  }
  spec.for_each_element("topologyKeys", [&](const Value& key, const FieldPath&) {
    keys.emplace_back(key.text().value_or(std::string_view()));
  });
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const auto first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

void add_address(const Value& value, const FieldPath& path, ProblemSink& sink,
                 std::vector<IpAddress>& addresses) {
  const auto address = decode_address(value, path, sink);
  if (!address) return;
  if (std::find(addresses.begin(), addresses.end(), *address) != addresses.end()) {
    sink.add(kInvalidAddress, fmt::format("{} repeats {}", path.to_string(), address->to_string()));
    return;
  }
  addresses.push_back(*address);
}

// False: headless. clusterIPs count if there are any, else clusterIP (the API keeps the two in
// step; raw files often have only the older one).
bool read_cluster_ips(const Fields& spec, core::Service& service) {
  bool headless = false;
  bool any = false;
  const auto read = [&](const Value& value, const FieldPath& path) {
    const auto text = value.text();
    any = true;
    if (text == "None") {
      headless = true;
    } else if (text != "") {
      add_address(value, path, spec.sink(), service.cluster_ips);
    }
  };
  spec.for_each_element("clusterIPs", read);
  if (const auto value = spec.find("clusterIP"); value && !any) {
    read(*value, FieldPath(spec.path(), "clusterIP"));
  }
  return !headless;
}

void read_port(const Fields& port, core::Service& service) {
  ProblemSink& sink = port.sink();
  const std::size_t problems_before = sink.count();
  core::ServicePort decoded;
  decoded.name = port.string("name");
  decoded.protocol = decode_protocol(port);
  decoded.number = port.port_or_zero("port");
  if (sink.count() != problems_before) return;
  const auto path = [&port] { return port.path().to_string(); };  // only where there is a problem
  if (decoded.number == 0) {
    sink.add(kInvalidPort, port.find("port")
                               ? fmt::format("{}.port is 0, not {}", path(), kPortNumber)
                               : fmt::format("{}.port is missing", path()));
    return;
  }
  decoded.node_port = port.port_or_zero("nodePort");
  for (const core::ServicePort& other : service.ports) {
    if (other.protocol != decoded.protocol) continue;
    if (other.number == decoded.number) {
      sink.add(kInvalidPort, fmt::format("{} repeats port {}/{}", path(), decoded.number,
                                         to_string(decoded.protocol)));
      return;
    }
    if (decoded.node_port != 0 && other.node_port == decoded.node_port) {
      sink.add(kInvalidPort, fmt::format("{}.nodePort repeats {}/{}", path(), decoded.node_port,
                                         to_string(decoded.protocol)));
      decoded.node_port = 0;
    }
  }
  service.ports.push_back(std::move(decoded));
}

void read_policies(const Fields& spec, core::Service& service) {
  service.internal_local = spec.choice("internalTrafficPolicy", {"Cluster", "Local"}) == 1;
  service.external_local = spec.choice("externalTrafficPolicy", {"Cluster", "Local"}) == 1;
  if (spec.choice("sessionAffinity", {"None", "ClientIP"}) == 0) return;
  service.affinity_timeout_s = core::kDefaultAffinityTimeoutSeconds;
  const auto config = spec.child("sessionAffinityConfig");
  const auto client_ip = config ? config->child("clientIP") : std::nullopt;
  const auto timeout = client_ip ? client_ip->find("timeoutSeconds") : std::nullopt;
  if (!timeout) return;
  const auto seconds = timeout->number();
  if (!seconds || *seconds < 1 || *seconds > kMaxAffinityTimeoutSeconds) {
    spec.sink().add_unexpected(kInvalidObject, FieldPath(client_ip->path(), "timeoutSeconds"),
                               *timeout, "a number of seconds from 1 to 86400");
    return;
  }
  service.affinity_timeout_s = static_cast<std::uint32_t>(*seconds);
}

// What is no range must not be read as "everybody": in its place stands one that no client is in.
void read_source_ranges(const Fields& spec, core::Service& service) {
  spec.for_each_element("loadBalancerSourceRanges", [&](const Value& value, const FieldPath& path) {
    const auto text = value.text();
    const auto range = text ? IpPrefix::parse(trimmed(*text)) : std::nullopt;
    if (range) {
      service.source_ranges.push_back(*range);
      return;
    }
    spec.sink().add_unexpected(kInvalidAddress, path, value, "a range of addresses, as 10.0.0.0/8");
    for (const auto* nobody : {"0.0.0.0/32", "::/128"}) {
      service.source_ranges.push_back(*IpPrefix::parse(nobody));
    }
  });
  std::sort(service.source_ranges.begin(), service.source_ranges.end());
}

void read_load_balancer(const Fields& object, core::Service& service) {
  const auto status = object.child("status");
  const auto load_balancer = status ? status->child("loadBalancer") : std::nullopt;
  if (!load_balancer) return;
  load_balancer->for_each_object("ingress", kInvalidObject, [&](const Fields& ingress) {
    const auto ip = ingress.find("ip");
    const bool is_proxy = ingress.choice("ipMode", {"VIP", "Proxy"}) == 1;
    if (!ip || is_proxy || ip->text() == "") return;
    add_address(*ip, FieldPath(ingress.path(), "ip"), ingress.sink(), service.load_balancer_ips);
  });
}

}  // namespace

std::optional<core::Service> decode_service(const Fields& object, const core::ObjectKey& key) {
  core::Service service;
  service.key = key;
  read_metadata(object, service);
  const auto spec = object.child("spec");
  if (!spec) return std::nullopt;
  const auto type = spec->choice("type", {"ClusterIP", "NodePort", "LoadBalancer", "ExternalName"});
  if (type == 3 || !read_cluster_ips(*spec, service)) return std::nullopt;
  spec->for_each_element("externalIPs", [&](const Value& value, const FieldPath& path) {
    add_address(value, path, spec->sink(), service.external_ips);
  });
  spec->for_each_object("ports", kInvalidPort,
                        [&](const Fields& port) { read_port(port, service); });
  read_policies(*spec, service);
  if (type == 2 && service.external_local) {
    service.health_check_node_port = spec->port_or_zero("healthCheckNodePort");
  }
  read_source_ranges(*spec, service);
  read_spec_topology_keys(*spec, service);
  read_load_balancer(object, service);
  if (service.cluster_ips.empty() || service.ports.empty()) return std::nullopt;
  return service;
}

}  // namespace topolb::kube
