// SPDX-License-Identifier: Apache-2.0
#include "core/service_endpoints.h"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace topolb::core {
namespace {

bool serves(const EndpointPort& slice_port, const ServicePort& port) {
  return slice_port.number != 0 && slice_port.protocol == port.protocol &&
         slice_port.name == port.name;
}

// Smaller is better: of two endpoints with one address, a running pod wins over the terminating
// one whose address it took, then the more usable one.
int rank(const PortEndpoint& endpoint) {
  return (endpoint.terminating ? 4 : 0) + (endpoint.ready ? 0 : 2) + (endpoint.serving ? 0 : 1);
}

bool before(const PortEndpoint& a, const PortEndpoint& b) {
  if (const auto order = a.backend <=> b.backend; order != 0) return order < 0;
  return rank(a) < rank(b);
}

bool same_backend(const PortEndpoint& a, const PortEndpoint& b) { return a.backend == b.backend; }

}  // namespace

ServiceEndpoints::ServiceEndpoints(ServiceEndpoints&& other) noexcept
    : pools_(other.pools_),
      slices_(std::exchange(other.slices_, {})),
      slice_count_(std::exchange(other.slice_count_, 0)),
      endpoints_(std::exchange(other.endpoints_, {})) {}

ServiceEndpoints::~ServiceEndpoints() {
  release(endpoints_);
  for (const Slice& slice : slices_) {
    if (!slice.name.empty()) pools_->port_lists.release(slice.ports);
  }
}

ServiceEndpoints::SliceNumber ServiceEndpoints::add(const EndpointSlice& slice) {
  const auto unused = std::find_if(slices_.begin(), slices_.end(),
                                   [](const Slice& one) { return one.name.empty(); });
  const auto number = static_cast<SliceNumber>(unused - slices_.begin());
  if (unused == slices_.end()) slices_.emplace_back();
  slices_[number] = {slice.key.name, pools_->port_lists.acquire(slice.ports), slice.family};
  ++slice_count_;
  insert(stored(number, slice.endpoints));
  return number;
}

bool ServiceEndpoints::update(SliceNumber number, const EndpointSlice& slice) {
  Slice& known = slices_[number];
  std::vector<Stored> endpoints = stored(number, slice.endpoints);
  const PoolId ports = pools_->port_lists.acquire(slice.ports);
  const bool same =
      ports == known.ports && slice.family == known.family && holds(number, endpoints);
  pools_->port_lists.release(std::exchange(known.ports, ports));
  if (same) {
    release(endpoints);
    return false;
  }
  known.family = slice.family;
  erase_endpoints_of(number);
  insert(endpoints);
  return true;
}

void ServiceEndpoints::remove(SliceNumber number) {
  erase_endpoints_of(number);
  pools_->port_lists.release(slices_[number].ports);
  slices_[number] = {};
  --slice_count_;
}

// In the order of endpoints_, as a slice in it. Each holds its placement.
std::vector<ServiceEndpoints::Stored> ServiceEndpoints::stored(
    SliceNumber number, const std::vector<Endpoint>& endpoints) {
  std::vector<const Endpoint*> in_order;
  in_order.reserve(endpoints.size());
  for (const Endpoint& endpoint : endpoints) in_order.push_back(&endpoint);
  const auto by_address = [](const Endpoint* a, const Endpoint* b) {
    return a->address < b->address;
  };
  if (!std::is_sorted(in_order.begin(), in_order.end(), by_address)) {
    std::stable_sort(in_order.begin(), in_order.end(), by_address);
  }
  std::vector<Stored> result;
  result.reserve(endpoints.size());
  for (const Endpoint* endpoint : in_order) {
    result.push_back({.address = endpoint->address,
                      .placement = hold_placement(*endpoint),
                      .slice = number,
                      .ready = endpoint->ready,
                      .serving = endpoint->serving,
                      .terminating = endpoint->terminating});
  }
  return result;
}

// Of an endpoint that is there already it is nearly always the same, and to compare is quicker than
// to look up.
PoolId ServiceEndpoints::hold_placement(const Endpoint& endpoint) {
  auto& placements = pools_->placements;
  const auto known = std::lower_bound(
      endpoints_.begin(), endpoints_.end(), endpoint.address,
      [](const Stored& one, const IpAddress& address) { return one.address < address; });
  if (known == endpoints_.end() || known->address != endpoint.address ||
      placements[known->placement] != endpoint) {
    return placements.acquire(endpoint);
  }
  placements.hold(known->placement);
  return known->placement;
}

bool ServiceEndpoints::holds(SliceNumber number, const std::vector<Stored>& endpoints) const {
  auto expected = endpoints.begin();
  for (const Stored& known : endpoints_) {
    if (known.slice != number) continue;
    if (expected == endpoints.end() || *expected != known) return false;
    ++expected;
  }
  return expected == endpoints.end();
}

bool ServiceEndpoints::comes_before(const Stored& a, const Stored& b) const {
  if (const auto order = a.address <=> b.address; order != 0) return order < 0;
  return slices_[a.slice].name < slices_[b.slice].name;
}

void ServiceEndpoints::insert(const std::vector<Stored>& endpoints) {
  const auto in_order = [this](const Stored& a, const Stored& b) { return comes_before(a, b); };
  std::vector<Stored> merged;
  merged.reserve(endpoints_.size() + endpoints.size());
  std::merge(endpoints_.begin(), endpoints_.end(), endpoints.begin(), endpoints.end(),
             std::back_inserter(merged), in_order);
  endpoints_ = std::move(merged);
}

void ServiceEndpoints::erase_endpoints_of(SliceNumber number) {
  std::erase_if(endpoints_, [&](const Stored& endpoint) {
    if (endpoint.slice != number) return false;
    pools_->placements.release(endpoint.placement);
    return true;
  });
}

void ServiceEndpoints::release(const std::vector<Stored>& endpoints) {
  for (const Stored& endpoint : endpoints) pools_->placements.release(endpoint.placement);
}

std::vector<PortEndpoint> ServiceEndpoints::of_port(const ServicePort& port, Family family) const {
  // Of each slice, the port numbers that belong to the port: nearly always one.
  std::vector<std::vector<std::uint16_t>> numbers(slices_.size());
  for (std::size_t i = 0; i < slices_.size(); ++i) {
    if (slices_[i].name.empty() || slices_[i].family != family) continue;
    for (const EndpointPort& slice_port : pools_->port_lists[slices_[i].ports]) {
      if (serves(slice_port, port)) numbers[i].push_back(slice_port.number);
    }
  }
  std::vector<PortEndpoint> endpoints;
  endpoints.reserve(endpoints_.size());
  for (const Stored& stored : endpoints_) {
    if (stored.address.family() != family) continue;
    for (const std::uint16_t number : numbers[stored.slice]) {
      endpoints.push_back({{stored.address, number},
                           stored.ready != 0,
                           stored.serving != 0,
                           stored.terminating != 0,
                           stored.placement,
                           &pools_->placements[stored.placement]});
    }
  }
  // Stable: the first slice goes first where nothing else decides.
  if (!std::is_sorted(endpoints.begin(), endpoints.end(), before)) {
    std::stable_sort(endpoints.begin(), endpoints.end(), before);
  }
  endpoints.erase(std::unique(endpoints.begin(), endpoints.end(), same_backend), endpoints.end());
  return endpoints;
}

std::size_t ServiceEndpoints::ready_on(std::string_view node_name, Family family) const {
  std::size_t count = 0;
  const Stored* last = nullptr;  // that was counted: they are in the order of addresses
  for (const Stored& stored : endpoints_) {
    if (stored.ready == 0 || stored.address.family() != family) continue;
    if (last != nullptr && last->address == stored.address) continue;
    if (pools_->placements[stored.placement].node_name != node_name) continue;
    if (pools_->port_lists[slices_[stored.slice].ports].empty()) continue;
    last = &stored;
    ++count;
  }
  return count;
}

}  // namespace topolb::core
