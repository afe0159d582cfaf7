// SPDX-License-Identifier: Apache-2.0
// endpoints_of(): all slices of a Service merged for one port and family.
#include <algorithm>
#include <cstddef>

#include "core/plan.h"

namespace topolb::core {
namespace {

bool serves(const EndpointPort& slice_port, const ServicePort& port) {
  return slice_port.number != 0 && slice_port.protocol == port.protocol &&
         slice_port.name == port.name;
}

// Smaller is better: of two endpoints with one address, a running pod wins over the terminating
// one whose address it took, then the more usable one.
int rank(const Endpoint& endpoint) {
  return (endpoint.terminating ? 4 : 0) + (endpoint.ready ? 0 : 2) + (endpoint.serving ? 0 : 1);
}

bool before(const PortEndpoint& a, const PortEndpoint& b) {
  if (const auto order = a.backend <=> b.backend; order != 0) return order < 0;
  return rank(*a.endpoint) < rank(*b.endpoint);
}

bool same_backend(const PortEndpoint& a, const PortEndpoint& b) { return a.backend == b.backend; }

// What is left equal is decided by the slices' names.
std::vector<const EndpointSlice*> sorted_by_name(const std::vector<const EndpointSlice*>& slices) {
  std::vector<const EndpointSlice*> sorted = slices;
  const auto by_key = [](const EndpointSlice* a, const EndpointSlice* b) {
    return a->key < b->key;
  };
  if (!std::is_sorted(sorted.begin(), sorted.end(), by_key)) {
    std::sort(sorted.begin(), sorted.end(), by_key);
  }
  return sorted;
}

}  // namespace

std::vector<PortEndpoint> endpoints_of(const ServicePort& port, Family family,
                                       const std::vector<const EndpointSlice*>& slices) {
  std::vector<PortEndpoint> endpoints;
  std::size_t count = 0;
  for (const EndpointSlice* slice : slices) {
    if (slice->family == family) count += slice->endpoints.size();
  }
  endpoints.reserve(count);
  for (const EndpointSlice* slice : sorted_by_name(slices)) {
    if (slice->family != family) continue;
    for (const EndpointPort& slice_port : slice->ports) {
      if (!serves(slice_port, port)) continue;
      for (const Endpoint& endpoint : slice->endpoints) {
        if (endpoint.address.family() != family) continue;
        endpoints.push_back({{endpoint.address, slice_port.number}, &endpoint});
      }
    }
  }
  // Stable: the first slice goes first where nothing else decides.
  if (!std::is_sorted(endpoints.begin(), endpoints.end(), before)) {
    std::stable_sort(endpoints.begin(), endpoints.end(), before);
  }
  endpoints.erase(std::unique(endpoints.begin(), endpoints.end(), same_backend), endpoints.end());
  return endpoints;
}

}  // namespace topolb::core
