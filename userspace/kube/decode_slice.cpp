// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "kube/decode_object.h"
#include "kube/time_text.h"

namespace topolb::kube {
namespace {

constexpr std::string_view kTriggerAnnotation = "endpoints.kubernetes.io/last-change-trigger-time";

struct SliceLabels {
  std::string service_name;
  bool headless = false;
};

SliceLabels read_labels(const Fields& object) {
  SliceLabels labels;
  const auto metadata = object.child("metadata");
  if (!metadata) return labels;
  metadata->for_each_entry("labels", [&](std::string_view name, auto value) {
    if (name == core::kServiceNameLabel) labels.service_name = value.value_or("");
    if (name == core::kHeadlessLabel) labels.headless = true;  // whatever its value
  });
  return labels;
}

void read_port(const Fields& port, core::EndpointSlice& slice) {
  ProblemSink& sink = port.sink();
  const std::size_t problems_before = sink.count();
  core::EndpointPort decoded;
  decoded.name = port.string("name");
  decoded.protocol = decode_protocol(port);
  decoded.number = port.port_or_zero("port");
  if (sink.count() != problems_before || decoded.number == 0) return;
  if (std::find(slice.ports.begin(), slice.ports.end(), decoded) != slice.ports.end()) {
    sink.add(kInvalidPort, fmt::format("{} repeats port {}/{}", port.path().to_string(),
                                       decoded.number, to_string(decoded.protocol)));
    return;
  }
  slice.ports.push_back(std::move(decoded));
}

// Only the first address counts: the API calls several of them interchangeable, and kube-proxy
// reads no other.
std::optional<IpAddress> read_address(const Fields& endpoint, Family family) {
  ProblemSink& sink = endpoint.sink();
  std::optional<IpAddress> address;
  bool any = false;
  const std::size_t problems_before = sink.count();
  endpoint.for_each_element("addresses", [&](const Value& value, const FieldPath& path) {
    if (std::exchange(any, true)) return;
    address = decode_address(value, path, sink);
    if (address && address->family() != family) {
      sink.add_unexpected(kInvalidAddress, path, value,
                          fmt::format("an {} address as addressType says", to_string(family)));
    }
  });
  if (!any && sink.count() == problems_before) {
    sink.add(kInvalidAddress, fmt::format("{} has no address", endpoint.path().to_string()));
  }
  return address;
}

std::vector<std::string> read_hints(const Fields& hints, std::string_view key) {
  std::vector<std::string> names;
  hints.for_each_object(key, kInvalidObject,
                        [&](const Fields& hint) { names.emplace_back(hint.string("name")); });
  return names;
}

// An endpoint with anything wrong in it is left out: half-known conditions or hints could send
// connections where its owner does not want them.
void read_endpoint(const Fields& fields, core::EndpointSlice& slice) {
  const std::size_t problems_before = fields.sink().count();
  core::Endpoint endpoint;
  const auto address = read_address(fields, slice.family);
  if (const auto conditions = fields.child("conditions")) {
    endpoint.ready = conditions->boolean_or("ready", true);
    endpoint.serving = conditions->boolean_or("serving", true);
    endpoint.terminating = conditions->boolean_or("terminating", false);
  }
  endpoint.node_name = fields.string("nodeName");
  endpoint.zone = fields.string("zone");
  if (const auto hints = fields.child("hints")) {
    endpoint.node_hints = read_hints(*hints, "forNodes");
    endpoint.zone_hints = read_hints(*hints, "forZones");
  }
  if (!address || fields.sink().count() != problems_before) return;
  endpoint.address = *address;
  slice.endpoints.push_back(std::move(endpoint));
}

/// Of the endpoint slice controller: when the pod or Service changed that made it write this.
std::uint64_t read_trigger(const Fields& object) {
  std::uint64_t time_ns = 0;
  const auto metadata = object.child("metadata");
  if (!metadata) return time_ns;
  metadata->for_each_entry("annotations", [&](std::string_view name, auto value) {
    if (name != kTriggerAnnotation || !value) return;
    if (const auto time = parse_time(std::string(*value))) {
      time_ns = static_cast<std::uint64_t>(
          std::chrono::duration_cast<std::chrono::nanoseconds>(time->time_since_epoch()).count());
    }
  });
  return time_ns;
}

}  // namespace

std::optional<core::EndpointSlice> decode_slice(const Fields& object, const core::ObjectKey& key) {
  SliceLabels labels = read_labels(object);
  if (labels.headless || labels.service_name.empty()) return std::nullopt;
  core::EndpointSlice slice;
  slice.key = key;
  slice.service_name = std::move(labels.service_name);
  slice.triggered_ns = read_trigger(object);
  const std::size_t problems_before = object.sink().count();
  const auto type = object.choice("addressType", {"", "IPv4", "IPv6", "FQDN"});
  if (type == 0 && object.sink().count() == problems_before) {
    object.sink().add(kInvalidObject, "addressType is missing");
  }
  if (type == 0 || type == 3) return std::nullopt;
  slice.family = type == 1 ? Family::IPv4 : Family::IPv6;
  object.for_each_object("ports", kInvalidPort,
                         [&](const Fields& port) { read_port(port, slice); });
  slice.endpoints.reserve(object.list_size("endpoints"));
  object.for_each_object("endpoints", kInvalidObject,
                         [&](const Fields& endpoint) { read_endpoint(endpoint, slice); });
  return slice;
}

}  // namespace topolb::kube
