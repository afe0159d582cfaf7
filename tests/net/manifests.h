// SPDX-License-Identifier: Apache-2.0
// Kubernetes objects as YAML documents, for the files that tests hand to the programs.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace topolb::test {

/// A Service `default/NAME` with one port 80/TCP. The last three are YAML flow text: what stands
/// between the braces of metadata and spec, and between the brackets of ports.
struct ServiceText {
  std::string name;
  std::string cluster_ip;
  std::string metadata = "";  // "labels: {a: b}"
  std::string spec = "";      // "type: NodePort, externalIPs: [198.51.100.1]"
  std::string ports = "{name: main, port: 80}";
};
std::string service_text(const ServiceText& service);

/// The annotation that sets topology keys, for ServiceText::metadata.
std::string keys(const std::string& comma_separated);

struct EndpointText {
  std::string address;
  std::string node = "";
  std::string more = "";  // "zone: z1, conditions: {ready: false}"
};
/// A slice of `default/SERVICE` with the port "main"; named after the Service and the family.
std::string slice_text(const std::string& service, const std::vector<EndpointText>& endpoints,
                       const std::string& port = "8080", const std::string& protocol = "TCP");

std::string node_text(const std::string& name, const std::map<std::string, std::string>& labels);

/// A Service at a cluster IP with one backend, ready, port 8080: both documents.
std::string web_text(const std::string& name, const std::string& cluster_ip,
                     const std::string& backend);

}  // namespace topolb::test
