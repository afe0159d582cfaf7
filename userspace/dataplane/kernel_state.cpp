// SPDX-License-Identifier: Apache-2.0
#include "dataplane/kernel_state.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>

namespace topolb::dataplane {
namespace {

template <std::size_t N>
std::string text_of(const char (&field)[N]) {
  return {field, ::strnlen(field, N)};
}

KernelTier read_tier(const KernelMaps& maps, const topolb_tier& tier,
                     const std::map<std::uint32_t, std::string>& keys) {
  KernelTier result{
      .terminating = tier.terminating != 0, .first_line = tier.first_line, .counter = tier.counter};
  if (const auto found = keys.find(tier.topology_key_id); found != keys.end()) {
    result.key = found->second;
  }
  result.backend_ids.reserve(tier.backend_count);
  for (std::uint32_t slot = 0; slot < tier.backend_count; ++slot) {
    const auto line = tier.first_line + slot / TOPOLB_SLOTS_PER_LINE;
    if (line >= maps.slots.capacity()) break;
    result.backend_ids.push_back(maps.slots[line].backend_ids[slot % TOPOLB_SLOTS_PER_LINE]);
  }
  return result;
}

std::optional<KernelSet> read_set(const KernelMaps& maps, std::uint32_t set_id,
                                  const std::map<std::uint32_t, std::string>& keys) {
  if (set_id == 0 || set_id >= maps.sets.capacity()) return std::nullopt;
  KernelSet result{.verdict = static_cast<core::Verdict>(maps.sets[set_id].verdict),
                   .affinity_timeout_s = maps.sets[set_id].affinity_timeout_s};
  while (set_id != 0 && set_id < maps.sets.capacity() &&
         result.set_ids.size() < TOPOLB_MAX_SET_CHAIN) {
    const topolb_set& set = maps.sets[set_id];
    result.set_ids.push_back(set_id);
    for (std::size_t i = 0; i < std::min<std::size_t>(set.tier_count, TOPOLB_TIERS_PER_SET); ++i) {
      result.tiers.push_back(read_tier(maps, set.tiers[i], keys));
    }
    set_id = set.next_set;
  }
  return result;
}

core::ServicePortKey key_of(const topolb_service_name& name) {
  return {.service = {text_of(name.namespace_name), text_of(name.service_name)},
          .port = name.port,
          .protocol = static_cast<Protocol>(name.protocol),
          .family = static_cast<Family>(name.family)};
}

}  // namespace

topolb_address to_wire(const IpAddress& address) {
  topolb_address wire{};
  std::copy(address.bytes().begin(), address.bytes().end(), wire.bytes);
  return wire;
}

IpAddress from_wire(const topolb_address& address) {
  std::array<std::uint8_t, 16> bytes{};
  std::copy(std::begin(address.bytes), std::end(address.bytes), bytes.begin());
  return IpAddress(bytes);
}

topolb_frontend to_wire(const core::Frontend& frontend, Protocol protocol) {
  return {.address = to_wire(frontend.address),
          .port_be = htons(frontend.port),
          .protocol = static_cast<std::uint8_t>(protocol),
          .pad = 0};
}

SocketAddress from_wire(const topolb_backend& backend) {
  return {from_wire(backend.address), ntohs(backend.port_be)};
}

KernelState read_kernel_state(const KernelMaps& maps) {
  std::map<std::uint32_t, std::string> keys;
  for (const auto& [id, key] : maps.topology_keys.entries()) keys[id] = text_of(key.name);

  std::map<std::uint32_t, KernelService> by_id;
  for (const auto& [id, name] : maps.service_names.entries()) {
    if (id == 0 || id >= maps.services.capacity()) continue;
    const topolb_service& row = maps.services[id];
    auto internal = read_set(maps, row.internal_set, keys);
    if (!internal) continue;
    by_id[id] = {.id = id,
                 .key = key_of(name),
                 .port_name = text_of(name.port_name),
                 .first_counter = name.first_counter,
                 .counter_count = name.counter_count,
                 .frontends = {},
                 .internal = std::move(*internal),
                 .external = read_set(maps, row.external_set, keys),
                 .node_external = read_set(maps, row.node_set, keys)};
  }

  KernelState state;
  for (const auto& [frontend, target] : maps.frontends.entries()) {
    const auto service = by_id.find(target.service_id);
    if (service == by_id.end()) {
      state.orphan_frontends.push_back(frontend);
      continue;
    }
    service->second.frontends.push_back({.kind = static_cast<core::FrontendKind>(target.kind),
                                         .address = from_wire(frontend.address),
                                         .port = ntohs(frontend.port_be)});
  }
  for (auto& [id, service] : by_id) {
    std::sort(service.frontends.begin(), service.frontends.end());
    state.services.push_back(std::move(service));
  }
  std::sort(state.services.begin(), state.services.end(),
            [](const auto& a, const auto& b) { return a.key < b.key; });
  return state;
}

const KernelTier* effective_tier(const KernelSet& set, const KernelMaps& maps) {
  for (const auto& tier : set.tiers) {
    for (const auto id : tier.backend_ids) {
      if (id < maps.backends.capacity() && maps.backends[id].state == TOPOLB_BACKEND_USABLE) {
        return &tier;
      }
    }
  }
  return nullptr;
}

}  // namespace topolb::dataplane
