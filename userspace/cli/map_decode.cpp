// SPDX-License-Identifier: Apache-2.0
#include "cli/map_decode.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <net/if.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <string_view>
#include <tuple>
#include <utility>

#include "cli/plan_view.h"
#include "cli/text.h"
#include "dataplane/frontend_table.h"
#include "dataplane/masquerades.h"
#include "dataplane/peer_table.h"
#include "dataplane/source_ranges.h"

namespace topolb::cli {
namespace {

constexpr std::uint64_t kNanosecondsPerSecond = 1'000'000'000;

/// The entries of a hash map, sorted by what `sort_key` makes of each key.
template <typename Map, typename SortKey>
auto sorted_entries(const Map& map, const SortKey& sort_key) {
  auto entries = map.entries();
  std::sort(entries.begin(), entries.end(),
            [&](const auto& a, const auto& b) { return sort_key(a.first) < sort_key(b.first); });
  return entries;
}

IpAddress address_of(const topolb_address& address) { return dataplane::from_wire(address); }

Records decode_affinities(const KernelSnapshot& kernel) {
  Records records({{"CLIENT", ""},
                   {"", "client_netns_cookie"},
                   {"", "client_address"},
                   {"", "service_id"},
                   {"SERVICE", "service"},
                   {"", "backend_id"},
                   {"BACKEND", "backend"},
                   {"", "slot"},
                   {"IDLE", "idle_seconds", Align::Right}});
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  const auto now_ns = static_cast<std::uint64_t>(now.tv_sec) * kNanosecondsPerSecond +
                      static_cast<std::uint64_t>(now.tv_nsec);
  const auto entries = sorted_entries(kernel.maps.affinities, [](const topolb_affinity_key& key) {
    return std::tuple(key.service_id, key.client_netns_cookie,
                      dataplane::from_wire(key.client_address));
  });
  for (const auto& [key, affinity] : entries) {
    const IpAddress address = dataplane::from_wire(key.client_address);
    const bool by_netns = key.client_netns_cookie != 0;
    const auto idle_ns = now_ns - std::min<std::uint64_t>(now_ns, affinity.last_used_ns);
    const std::uint64_t idle_s = idle_ns / kNanosecondsPerSecond;
    records.add({by_netns ? fmt::format("netns {}", key.client_netns_cookie) : address.to_string(),
                 by_netns ? Json(std::uint64_t{key.client_netns_cookie}) : Json(),
                 by_netns ? Json() : Json(address.to_string()), key.service_id,
                 service_cell(kernel, key.service_id), affinity.backend_id,
                 backend_text(kernel, affinity.backend_id), affinity.slot,
                 RecordCell(idle_s, duration_text(idle_s))});
  }
  return records;
}

Records decode_backends(const KernelSnapshot& kernel) {
  Records records({{"ID", "id", Align::Right},
                   {"ADDRESS", "address"},
                   {"PROTOCOL", "protocol"},
                   {"STATE", "state"},
                   {"LOCAL", "local"},
                   {"GONE", "gone"},
                   {"NODELESS", "nodeless"}});
  const auto rows = kernel.maps.backends.rows();
  for (std::uint32_t id = 0; id < rows.size(); ++id) {
    const topolb_backend backend = rows[id];
    if (backend.state == TOPOLB_BACKEND_FREE) continue;
    records.add({id, dataplane::from_wire(backend).to_string(),
                 to_string(static_cast<Protocol>(backend.protocol)),
                 backend.state == TOPOLB_BACKEND_USABLE ? "usable" : "unusable",
                 (backend.flags & TOPOLB_BACKEND_LOCAL) != 0,
                 (backend.flags & TOPOLB_BACKEND_GONE) != 0,
                 (backend.flags & TOPOLB_BACKEND_NODELESS) != 0});
  }
  return records;
}

Records decode_frontends(const KernelSnapshot& kernel) {
  Records records({{"FRONTEND", ""},
                   {"", "address"},
                   {"", "port"},
                   {"PROTOCOL", "protocol"},
                   {"KIND", "kind"},
                   {"ID", "service_id", Align::Right},
                   {"SERVICE", "service"},
                   {"INSIDE", "inside_set", Align::Right},
                   {"OUTSIDE", "outside_set", Align::Right}});
  auto rows = dataplane::live_frontends(kernel.maps.frontends);
  std::sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) {
    return std::tuple(address_of(a.address), ntohs(a.port_be), a.protocol) <
           std::tuple(address_of(b.address), ntohs(b.port_be), b.protocol);
  });
  for (const auto& row : rows) {
    const SocketAddress frontend{address_of(row.address), ntohs(row.port_be)};
    records.add({frontend.to_string(), frontend.address.to_string(), frontend.port,
                 to_string(static_cast<Protocol>(row.protocol)),
                 core::to_string(static_cast<core::FrontendKind>(row.kind)), row.service_id,
                 service_cell(kernel, row.service_id), id_or_null(row.inside_set),
                 id_or_null(row.outside_set)});
  }
  return records;
}

Records decode_node_addresses(const KernelSnapshot& kernel) {
  Records records({{"ADDRESS", "address"},
                   {"INTERFACE", "interface"},
                   {"INDEX", "interface_index", Align::Right},
                   {"NODE PORTS FROM OUTSIDE", "node_ports_from_outside"}});
  const auto entries = sorted_entries(kernel.maps.node_addresses, address_of);
  for (const auto& [address, node_address] : entries) {
    std::array<char, IF_NAMESIZE> name{};
    const bool known = ::if_indextoname(node_address.interface_index, name.data()) != nullptr;
    records.add({dataplane::from_wire(address).to_string(), known ? Json(name.data()) : Json(),
                 node_address.interface_index,
                 (node_address.flags & TOPOLB_NODE_ADDRESS_NODE_PORTS) != 0});
  }
  return records;
}

Records decode_peers(const KernelSnapshot& kernel) {
  Records records({{"FRONTEND", "frontend"},
                   {"ID", "service_id", Align::Right},
                   {"SERVICE", "service"},
                   {"", "backend_id"},
                   {"BACKEND", "backend"}});
  auto peers = dataplane::live_peers(kernel.maps.peers);
  const auto frontend_of = [](const topolb_peer& peer) {
    return SocketAddress{address_of(peer.frontend_address), ntohs(peer.frontend_port_be)};
  };
  const auto backend_of = [](const topolb_peer& peer) {
    return SocketAddress{address_of(peer.backend_address), ntohs(peer.backend_port_be)};
  };
  std::sort(peers.begin(), peers.end(), [&](const auto& a, const auto& b) {
    return std::pair(frontend_of(a), backend_of(a)) < std::pair(frontend_of(b), backend_of(b));
  });
  for (const auto& peer : peers) {
    records.add({frontend_of(peer).to_string(), peer.service_id,
                 service_cell(kernel, peer.service_id), peer.backend_id,
                 backend_of(peer).to_string()});
  }
  return records;
}

/// "30000 to 32767"; null and "none" of an empty range.
RecordCell range_cell(std::uint16_t first, std::uint16_t last) {
  if (first > last || last == 0) return {Json(), std::string("none")};
  return {Json::Array{first, last}, fmt::format("{} to {}", first, last)};
}

RecordCell address_or_null(const topolb_address& wire) {
  const IpAddress address = dataplane::from_wire(wire);
  return address.is_unspecified() ? RecordCell(Json()) : RecordCell(address.to_string());
}

Records decode_settings(const KernelSnapshot& kernel) {
  Records records({{"NODE", "node"},
                   {"LAYOUT VERSION", "layout_version"},
                   {"PUBLISHED", "published_ns"},
                   {"PUBLICATIONS", "publications"},
                   {"HEARD", "heard_ns"},
                   {"NODE NETNS COOKIE", "node_netns_cookie"},
                   {"NODE PORTS", "node_ports"},
                   {"MASQUERADE IPV4", "masquerade_ipv4"},
                   {"MASQUERADE IPV6", "masquerade_ipv6"},
                   {"MASQUERADE PORTS", "masquerade_ports"},
                   {"PACKET FLAGS", "packet_flags"}});
  const topolb_settings settings = kernel.maps.settings[0];
  const std::uint64_t published_ns = settings.published_ns;
  const std::uint64_t heard_ns = settings.heard_ns;
  records.add({node_name_of(settings), settings.layout_version,
               RecordCell(published_ns, time_text(published_ns / kNanosecondsPerSecond)),
               std::uint64_t{settings.publications},
               heard_ns == 0 ? RecordCell(Json())
                             : RecordCell(heard_ns, time_text(heard_ns / kNanosecondsPerSecond)),
               std::uint64_t{settings.node_netns_cookie},
               range_cell(settings.node_port_min, settings.node_port_max),
               address_or_null(dataplane::chosen_masquerade(settings, Family::IPv4)),
               address_or_null(dataplane::chosen_masquerade(settings, Family::IPv6)),
               range_cell(settings.masquerade_port_min, settings.masquerade_port_max),
               settings.packet_flags});
  return records;
}

Records decode_source_ranges(const KernelSnapshot& kernel) {
  Records records({{"RANGE", "range"}, {"ID", "service_id", Align::Right}, {"SERVICE", "service"}});
  const auto entries =
      sorted_entries(kernel.maps.source_ranges, [](const topolb_source_range& range) {
        return std::tuple(range.service_id, dataplane::from_wire(range));
      });
  for (const auto& [range, value] : entries) {
    records.add({dataplane::from_wire(range).to_string(), range.service_id,
                 service_cell(kernel, range.service_id)});
  }
  return records;
}

const auto& decoders() {
  using Decoder = Records (*)(const KernelSnapshot&);
  static const std::map<std::string_view, Decoder> table{{"affinities", decode_affinities},
                                                         {"backends", decode_backends},
                                                         {"counters", decode_counters},
                                                         {"frontends", decode_frontends},
                                                         {"node_addresses", decode_node_addresses},
                                                         {"peers", decode_peers},
                                                         {"service_names", decode_service_names},
                                                         {"sets", decode_sets},
                                                         {"settings", decode_settings},
                                                         {"slots", decode_slots},
                                                         {"source_ranges", decode_source_ranges},
                                                         {"topology_keys", decode_topology_keys}};
  return table;
}

}  // namespace

std::vector<std::string> decodable_maps() {
  std::vector<std::string> names;
  for (const auto& [name, decoder] : decoders()) names.emplace_back(name);
  return names;
}

Records decode_map(const KernelSnapshot& kernel, const std::string& map_name) {
  return decoders().at(map_name)(kernel);
}

}  // namespace topolb::cli
