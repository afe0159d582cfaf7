// SPDX-License-Identifier: Apache-2.0
#include "reference.h"

#include <algorithm>
#include <functional>
#include <ostream>
#include <set>
#include <sstream>

namespace topolb::core::test {
namespace {

using Chosen = std::map<std::string, Endpoint>;  // by "address:port"
using Filter = std::function<bool(const Endpoint&)>;

bool ready(const Endpoint& endpoint) { return endpoint.ready; }
bool fallback(const Endpoint& endpoint) {
  return !endpoint.ready && endpoint.serving && endpoint.terminating;
}
bool usable(const Endpoint& endpoint) { return ready(endpoint) || fallback(endpoint); }

// One endpoint per address and port: non-terminating, ready, serving, first slice by name.
Chosen merge(const ServicePort& port, Family family, std::vector<EndpointSlice> slices) {
  std::stable_sort(slices.begin(), slices.end(),
                   [](const auto& a, const auto& b) { return a.key < b.key; });
  Chosen merged;
  for (const EndpointSlice& slice : slices) {
    if (slice.family != family) continue;
    for (const EndpointPort& slice_port : slice.ports) {
      if (slice_port.name != port.name || slice_port.protocol != port.protocol) continue;
      for (const Endpoint& endpoint : slice.endpoints) {
        const std::string key = SocketAddress{endpoint.address, slice_port.number}.to_string();
        const auto [other, is_new] = merged.emplace(key, endpoint);
        if (is_new) continue;
        const auto worth = [](const Endpoint& one) {
          return std::vector<bool>{!one.terminating, one.ready, one.serving};
        };
        if (worth(endpoint) > worth(other->second)) other->second = endpoint;
      }
    }
  }
  return merged;
}

ReferenceTraffic forward(const Chosen& all, const Filter& filter, const std::string& tier = "") {
  ReferenceTraffic result{"forward", tier, {}};
  for (const auto& [backend, endpoint] : all) {
    if (filter(endpoint)) result.backends.push_back(backend);
  }
  return result;
}

bool any(const Chosen& all, const Filter& filter) { return !forward(all, filter).backends.empty(); }

bool matches(const Endpoint& endpoint, const std::string& key, const ReferenceNodes& nodes,
             const std::string& here) {
  if (key == "*") return true;
  if (!nodes.contains(here) || !nodes.at(here).contains(key)) return false;
  const std::string& own = nodes.at(here).at(key);
  if (!endpoint.node_name.empty() && nodes.contains(endpoint.node_name)) {
    const Labels& labels = nodes.at(endpoint.node_name);
    return labels.contains(key) && labels.at(key) == own;
  }
  return key == "topology.kubernetes.io/zone" && !endpoint.zone.empty() && endpoint.zone == own;
}

ReferenceTraffic keyed(const Chosen& all, const std::vector<std::string>& keys,
                       const ReferenceNodes& nodes, const std::string& here) {
  for (const auto& condition : {ready, fallback}) {
    for (const std::string& key : keys) {
      const Filter filter = [&](const Endpoint& endpoint) {
        return condition(endpoint) && matches(endpoint, key, nodes, here);
      };
      if (any(all, filter)) return forward(all, filter, key);
    }
  }
  return {"reject", "", {}};
}

bool has(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

ReferenceTraffic cluster(const Chosen& all, const ReferenceNodes& nodes, const std::string& here) {
  if (!any(all, ready)) {
    return any(all, fallback) ? forward(all, fallback) : ReferenceTraffic{"reject", "", {}};
  }
  const Filter for_node = [&](const Endpoint& one) {
    return one.ready && has(one.node_hints, here);
  };
  const bool all_node_hinted =
      !any(all, [](const Endpoint& one) { return one.ready && one.node_hints.empty(); });
  if (all_node_hinted && any(all, for_node)) return forward(all, for_node);
  if (nodes.contains(here) && nodes.at(here).contains("topology.kubernetes.io/zone")) {
    const std::string zone = nodes.at(here).at("topology.kubernetes.io/zone");
    const Filter for_zone = [&](const Endpoint& one) {
      return one.ready && has(one.zone_hints, zone);
    };
    const bool all_zone_hinted =
        !any(all, [](const Endpoint& one) { return one.ready && one.zone_hints.empty(); });
    if (all_zone_hinted && any(all, for_zone)) return forward(all, for_zone);
  }
  return forward(all, ready);
}

ReferenceTraffic local(const Chosen& all, const std::string& here) {
  for (const auto& condition : {ready, fallback}) {
    const Filter filter = [&](const Endpoint& one) {
      return condition(one) && one.node_name == here;
    };
    if (any(all, filter)) return forward(all, filter);
  }
  return {any(all, usable) ? "drop" : "reject", "", {}};
}

// What RandomCluster makes: a list in the spec, or comma-separated in the annotation.
std::vector<std::string> keys_of(const Service& service) {
  std::vector<std::string> keys;
  std::istringstream text(service.topology_keys_annotation.value_or(""));
  for (std::string key; std::getline(text, key, ',');) {
    key.erase(std::remove(key.begin(), key.end(), ' '), key.end());
    keys.push_back(key);
  }
  return keys.empty() ? service.topology_keys_spec : keys;
}

bool valid(const std::vector<std::string>& keys) {
  if (std::set<std::string>(keys.begin(), keys.end()).size() != keys.size()) return false;
  return !has(keys, "*") || keys.back() == "*";
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const ReferenceTraffic& traffic) {
  out << traffic.verdict << " tier=" << traffic.tier;
  for (const std::string& backend : traffic.backends) out << " " << backend;
  return out;
}

ReferencePort reference_port(const Service& service, const ServicePort& port, Family family,
                             const std::vector<EndpointSlice>& slices, const ReferenceNodes& nodes,
                             const std::string& here) {
  const Chosen all = merge(port, family, slices);
  const auto keys = keys_of(service);
  if (!keys.empty() && (!valid(keys) || service.external_local)) {
    const ReferenceTraffic reject{"reject", "", {}};
    return {reject, reject, reject};
  }
  const ReferenceTraffic shared =
      keys.empty() ? cluster(all, nodes, here) : keyed(all, keys, nodes, here);
  return {service.internal_local ? local(all, here) : shared,
          service.external_local ? local(all, here) : shared, shared};
}

ReferenceTraffic in_words(const TrafficPlan& plan) {
  ReferenceTraffic result{std::string(to_string(plan.verdict)), "", {}};
  const Tier* tier = plan.effective();
  if (tier == nullptr) return result;
  result.tier = tier->key;
  for (const SocketAddress& backend : tier->backends) {
    result.backends.push_back(backend.to_string());
  }
  std::sort(result.backends.begin(), result.backends.end());
  return result;
}

}  // namespace topolb::core::test
