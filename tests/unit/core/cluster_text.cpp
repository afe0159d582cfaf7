// SPDX-License-Identifier: Apache-2.0
#include "cluster_text.h"

#include <fmt/format.h>

#include <sstream>
#include <stdexcept>

namespace topolb::core::test {
namespace {

std::vector<std::string> words(const std::string& text, char separator) {
  std::vector<std::string> result;
  std::istringstream stream(text);
  for (std::string word; std::getline(stream, word, separator);) {
    if (!word.empty()) result.push_back(word);
  }
  return result;
}

// A mistake in a table must not pass as another case.
[[noreturn]] void unknown(const std::string& word) {
  throw std::invalid_argument("test text: " + word);
}

void set_state(Endpoint& endpoint, const std::string& state) {
  endpoint.ready = state == "ready-terminating";
  endpoint.serving = state != "unready" && state != "gone";
  endpoint.terminating = state == "terminating" || state == "gone" || state == "ready-terminating";
  if (!endpoint.terminating && state != "unready" && state != "serving") unknown(state);
}

}  // namespace

IpAddress ip(std::string_view text) {
  const auto address = IpAddress::parse(text);
  if (!address) unknown(std::string(text));
  return *address;
}

Endpoint endpoint(const std::string& text) {
  const auto parts = words(text, ' ');
  Endpoint result;
  const auto at = parts.at(0).find('@');
  result.address = ip("10.1.0." + parts[0].substr(0, at));
  if (at != std::string::npos) result.node_name = parts[0].substr(at + 1);
  for (std::size_t i = 1; i < parts.size(); ++i) {
    const auto equals = parts[i].find('=');
    const std::string name = parts[i].substr(0, equals);
    const std::string value = equals == std::string::npos ? "" : parts[i].substr(equals + 1);
    if (name == "zone") {
      result.zone = value;
    } else if (name == "for-nodes") {
      result.node_hints = words(value, ',');
    } else if (name == "for-zones") {
      result.zone_hints = words(value, ',');
    } else {
      set_state(result, name);
    }
  }
  return result;
}

Node node(const std::string& text) {
  const auto parts = words(text, ' ');
  Node result;
  result.name = parts.at(0).substr(0, parts[0].find(':'));
  for (std::size_t i = 1; i < parts.size(); ++i) {
    const auto equals = parts[i].find('=');
    if (equals == std::string::npos) unknown(parts[i]);
    result.labels[parts[i].substr(0, equals)] = parts[i].substr(equals + 1);
  }
  return result;
}

Service web_service() {
  Service service;
  service.key = {"default", "web"};
  service.cluster_ips = {ip("10.96.0.1")};
  service.ports = {{"", 80, Protocol::TCP, 0}};
  return service;
}

EndpointSlice web_slice(const std::vector<std::string>& endpoints, const std::string& name) {
  EndpointSlice slice;
  slice.key = {"default", name};
  slice.service_name = "web";
  slice.ports = {{"", Protocol::TCP, 8080}};
  for (const std::string& text : endpoints) slice.endpoints.push_back(endpoint(text));
  return slice;
}

Nodes::Nodes(const std::vector<std::string>& texts) {
  for (const std::string& text : texts) {
    Node parsed = node(text);
    labels_[parsed.name] = std::move(parsed.labels);
  }
}

NodeView view_of(const std::map<std::string, Labels>& nodes, const std::string& name) {
  return {name, [&nodes](const std::string& asked) { return nodes.contains(asked); },
          [&nodes](const std::string& asked, std::string_view key) -> const std::string* {
            const auto node = nodes.find(asked);
            if (node == nodes.end()) return nullptr;
            const auto label = node->second.find(key);
            return label == node->second.end() ? nullptr : &label->second;
          }};
}

MergedEndpoints::MergedEndpoints(const std::vector<EndpointSlice>& slices) {
  for (const EndpointSlice& slice : slices) endpoints_.add(slice);
}

std::string text_of(const TrafficPlan& plan) {
  std::string text(to_string(plan.verdict));
  const Tier* tier = plan.effective();
  if (tier == nullptr) return text;
  text += tier->key.empty() ? ":" : fmt::format(" {}:", tier->key);
  for (const SocketAddress& backend : tier->backends) {
    text += fmt::format(" {}", static_cast<int>(backend.address.bytes().back()));
  }
  return text;
}

Service service(const std::string& name, const std::string& address, const std::string& keys) {
  Service result = web_service();
  result.key.name = name;
  result.cluster_ips = {ip(address)};
  result.topology_keys_annotation = keys;
  return result;
}

EndpointSlice slice(const std::string& service_name, const std::vector<std::string>& endpoints) {
  EndpointSlice result = web_slice(endpoints, service_name + "-1");
  result.service_name = service_name;
  return result;
}

ClusterState on_n1() { return ClusterState(PlanOptions{.node_name = "n1"}); }

std::string internal_of(const ClusterState& state, const std::string& name) {
  for (const ServicePortPlan& plan : state.plan()) {
    if (plan.key.service.name == name) return text_of(plan.internal);
  }
  return "no plan";
}

}  // namespace topolb::core::test
