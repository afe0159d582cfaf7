// SPDX-License-Identifier: Apache-2.0
#include "decode_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace topolb::kube::test {
namespace {

template <typename T>
std::string joined(const std::vector<T>& addresses) {
  Texts texts;
  for (const T& address : addresses) texts.push_back(address.to_string());
  return fmt::format("{}", fmt::join(texts, ","));
}

std::string text_of(const std::monostate& /*unserved*/) { return " none"; }

std::string text_of(const core::Service& service) {
  std::string text = " ips=" + joined(service.cluster_ips);
  for (const core::ServicePort& port : service.ports) {
    text += fmt::format(" {}:{}/{}", port.name, port.number, to_string(port.protocol));
    if (port.node_port != 0) text += fmt::format("@{}", port.node_port);
  }
  if (!service.external_ips.empty()) text += " external=" + joined(service.external_ips);
  if (!service.load_balancer_ips.empty()) text += " lb=" + joined(service.load_balancer_ips);
  if (!service.source_ranges.empty()) text += " ranges=" + joined(service.source_ranges);
  if (service.internal_local) text += " internal-local";
  if (service.external_local) text += " external-local";
  if (service.health_check_node_port != 0) {
    text += fmt::format(" health@{}", service.health_check_node_port);
  }
  if (service.affinity_timeout_s != 0)
    text += fmt::format(" affinity={}", service.affinity_timeout_s);
  if (service.opted_in) text += " opted-in";
  if (service.has_service_proxy_name) text += " proxy=" + service.service_proxy_name;
  if (service.topology_keys_annotation) text += " annotation=" + *service.topology_keys_annotation;
  if (!service.topology_keys_spec.empty()) {
    text += fmt::format(" keys={}", service.topology_keys_spec);
  }
  return text;
}

std::string text_of(const core::EndpointSlice& slice) {
  std::string text = fmt::format(" of={} {}", slice.service_name, to_string(slice.family));
  for (const core::EndpointPort& port : slice.ports) {
    text += fmt::format(" {}:{}/{}", port.name, port.number, to_string(port.protocol));
  }
  for (const core::Endpoint& endpoint : slice.endpoints) {
    text += " [" + endpoint.address.to_string();
    if (!endpoint.ready) text += " unready";
    if (!endpoint.serving) text += " unserving";
    if (endpoint.terminating) text += " terminating";
    if (!endpoint.node_name.empty()) text += " node=" + endpoint.node_name;
    if (!endpoint.zone.empty()) text += " zone=" + endpoint.zone;
    if (!endpoint.node_hints.empty()) text += fmt::format(" nodes={}", endpoint.node_hints);
    if (!endpoint.zone_hints.empty()) text += fmt::format(" zones={}", endpoint.zone_hints);
    text += ']';
  }
  return text;
}

std::string text_of(const core::Node& node) {
  std::string text;
  for (const auto& [key, value] : node.labels) text += fmt::format(" {}={}", key, value);
  return text;
}

}  // namespace

std::string text_of(const DecodedObject& object) {
  return fmt::format("{} {}/{}", to_string(object.id.kind), object.id.key.namespace_name,
                     object.id.key.name) +
         std::visit([](const auto& body) { return text_of(body); }, object.object);
}

Texts text_of(const std::vector<core::Problem>& problems) {
  Texts texts;
  for (const core::Problem& problem : problems) {
    texts.push_back(problem.reason + ' ' + problem.message);
  }
  return texts;
}

Texts full_text_of(const std::vector<core::Problem>& problems) {
  Texts texts;
  for (const core::Problem& problem : problems) {
    texts.push_back(fmt::format("{} {}/{} {} {}", problem.kind, problem.namespace_name,
                                problem.name, problem.reason, problem.message));
  }
  return texts;
}

}  // namespace topolb::kube::test
