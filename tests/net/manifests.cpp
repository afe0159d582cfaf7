// SPDX-License-Identifier: Apache-2.0
#include "manifests.h"

#include <fmt/format.h>

namespace topolb::test {
namespace {

std::string follow(const std::string& more) { return more.empty() ? "" : ", " + more; }

bool is_ipv6(const std::string& address) { return address.find(':') != std::string::npos; }

}  // namespace

std::string service_text(const ServiceText& service) {
  return fmt::format(
      "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {}, namespace: default{}}}\n"
      "spec: {{clusterIP: \"{}\", ports: [{}]{}}}\n",
      service.name, follow(service.metadata), service.cluster_ip, service.ports,
      follow(service.spec));
}

std::string keys(const std::string& comma_separated) {
  return fmt::format("annotations: {{topolb.io/topology-keys: \"{}\"}}", comma_separated);
}

std::string slice_text(const std::string& service, const std::vector<EndpointText>& endpoints,
                       const std::string& port, const std::string& protocol) {
  const bool ipv6 = !endpoints.empty() && is_ipv6(endpoints.front().address);
  auto text = fmt::format(
      "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
      "metadata: {{name: {}-{}, namespace: default, labels: {{kubernetes.io/service-name: {}}}}}\n"
      "addressType: {}\nports: [{{name: main, port: {}, protocol: {}}}]\nendpoints:\n",
      service, ipv6 ? "v6" : "v4", service, ipv6 ? "IPv6" : "IPv4", port, protocol);
  if (endpoints.empty()) text += "  []\n";
  for (const auto& endpoint : endpoints) {
    const auto node = endpoint.node.empty() ? "" : "nodeName: " + endpoint.node;
    text += fmt::format("  - {{addresses: [\"{}\"]{}{}}}\n", endpoint.address, follow(node),
                        follow(endpoint.more));
  }
  return text;
}

std::string node_text(const std::string& name, const std::map<std::string, std::string>& labels) {
  auto text =
      fmt::format("---\napiVersion: v1\nkind: Node\nmetadata:\n  name: {}\n  labels:\n", name);
  if (labels.empty()) text += "    {}\n";
  for (const auto& [key, value] : labels) text += fmt::format("    {}: {}\n", key, value);
  return text;
}

std::string web_text(const std::string& name, const std::string& cluster_ip,
                     const std::string& backend) {
  return service_text({name, cluster_ip}) + slice_text(name, {{backend}});
}

}  // namespace topolb::test
