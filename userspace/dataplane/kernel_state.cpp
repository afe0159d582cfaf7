// SPDX-License-Identifier: Apache-2.0
#include "dataplane/kernel_state.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>

#include "dataplane/frontend_table.h"
#include "dataplane/service_names.h"

namespace topolb::dataplane {
namespace {

template <std::size_t N>
std::string text_of(const char (&field)[N]) {
  return {field, ::strnlen(field, N)};
}

KernelTier read_tier(const KernelMaps& maps, std::uint32_t set_id,
                     const std::map<std::uint32_t, std::string>& keys) {
  const topolb_set& set = maps.sets[set_id];
  KernelTier result{.terminating = (set.flags & TOPOLB_SET_TERMINATING) != 0,
                    .set_id = set_id,
                    .first_line = set.first_line,
                    .counter = set.counter};
  if (const auto found = keys.find(set.topology_key_id); found != keys.end()) {
    result.key = found->second;
  }
  result.backend_ids.reserve(set.backend_count);
  for (std::uint32_t slot = 0; slot < set.backend_count; ++slot) {
    const auto* id = slot_of(maps, set_id, slot);
    if (id == nullptr) break;
    result.backend_ids.push_back(*id);
  }
  return result;
}

std::optional<KernelSet> read_set(const KernelMaps& maps, std::uint32_t set_id,
                                  const std::map<std::uint32_t, std::string>& keys) {
  if (set_id == 0 || set_id >= maps.sets.capacity()) return std::nullopt;
  KernelSet result{.verdict = static_cast<core::Verdict>(maps.sets[set_id].verdict),
                   .affinity_timeout_s = maps.sets[set_id].affinity_timeout_s};
  while (set_id != 0 && set_id < maps.sets.capacity() && result.set_ids.size() < TOPOLB_MAX_TIERS) {
    const topolb_set& set = maps.sets[set_id];
    result.set_ids.push_back(set_id);
    if (set.backend_count != 0) result.tiers.push_back(read_tier(maps, set_id, keys));
    set_id = set.next_set;
  }
  return result;
}

void add_frontend(const KernelMaps& maps, const topolb_frontend_row& row,
                  const std::map<std::uint32_t, std::string>& keys, KernelService& service) {
  service.frontends.push_back({.kind = static_cast<core::FrontendKind>(row.kind),
                               .address = from_wire(row.address),
                               .port = ntohs(row.port_be)});
  if (row.kind == TOPOLB_FRONTEND_CLUSTER_IP) {
    if (auto set = read_set(maps, row.inside_set, keys)) service.internal = std::move(*set);
  } else if (!service.external && !service.node_external) {
    service.external = read_set(maps, row.outside_set, keys);
    service.node_external = read_set(maps, row.inside_set, keys);
  }
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
          .pad = {}};
}

SocketAddress from_wire(const topolb_backend& backend) {
  return {from_wire(backend.address), ntohs(backend.port_be)};
}

const std::uint32_t* slot_of(const KernelMaps& maps, std::uint32_t set_id, std::uint32_t slot) {
  const topolb_set& set = maps.sets[set_id];
  if (set.first_line == 0) return slot < TOPOLB_SLOTS_PER_SET ? &set.backend_ids[slot] : nullptr;
  const auto line = set.first_line + slot / TOPOLB_SLOTS_PER_LINE;
  if (line >= maps.slots.capacity()) return nullptr;
  return &maps.slots[line].backend_ids[slot % TOPOLB_SLOTS_PER_LINE];
}

topolb_frontend key_of(const topolb_frontend_row& row) {
  return {.address = row.address, .port_be = row.port_be, .protocol = row.protocol, .pad = {}};
}

std::map<std::uint32_t, std::string> topology_key_names(const KernelMaps& maps) {
  std::map<std::uint32_t, std::string> names;
  for (const auto& [id, key] : maps.topology_keys.entries()) names[id] = text_of(key.name);
  return names;
}

KernelState read_kernel_state(const KernelMaps& maps) {
  const auto keys = topology_key_names(maps);
  std::map<std::uint32_t, KernelService> by_id;
  for (auto& [id, name] : read_names(maps.service_names)) {
    KernelService& service = by_id[id];
    service.id = id;
    service.key = std::move(name.key);
    service.port_name = std::move(name.port_name);
    service.first_counter = name.first_counter;
    service.counter_count = name.counter_count;
  }

  KernelState state;
  for (const auto& row : live_frontends(maps.frontends)) {
    const auto service = by_id.find(row.service_id);
    if (service != by_id.end()) {
      add_frontend(maps, row, keys, service->second);
    } else {
      state.orphan_frontends.push_back(key_of(row));
    }
  }
  // Named, but not dialled by anything: an agent was killed before it came that far.
  std::erase_if(by_id, [](const auto& entry) { return entry.second.frontends.empty(); });
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
