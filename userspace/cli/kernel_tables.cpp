// SPDX-License-Identifier: Apache-2.0
#include "cli/kernel_tables.h"

#include <algorithm>

#include "cli/plan_view.h"
#include "dataplane/frontend_table.h"
#include "dataplane/peer_table.h"
#include "dataplane/service_names.h"

namespace topolb::cli {
namespace {

using dataplane::KernelService;
using dataplane::KernelSet;

template <typename Visit>
void for_each_set(const KernelService& service, const Visit& visit) {
  visit(service.internal, "internal");
  if (service.external) visit(*service.external, "external");
  if (service.node_external) visit(*service.node_external, "node_external");
}

void add_lines(const KernelSet& set, LiveRows& live) {
  for (const auto& tier : set.tiers) {
    if (tier.first_line == 0) continue;  // in the set itself
    for (std::size_t slot = 0; slot < tier.backend_ids.size(); ++slot) {
      const auto line = tier.first_line + static_cast<std::uint32_t>(slot) / TOPOLB_SLOTS_PER_LINE;
      LiveRows::Line& row = live.lines[line];
      if (slot % TOPOLB_SLOTS_PER_LINE == 0)
        row = {.set_id = set.set_ids.front(), .backend_ids = {}};
      row.backend_ids.push_back(tier.backend_ids[slot]);
    }
  }
}

bool is_live(const topolb_backend& backend) {
  return backend.state != TOPOLB_BACKEND_FREE && (backend.flags & TOPOLB_BACKEND_GONE) == 0;
}

}  // namespace

LiveRows live_rows(const KernelSnapshot& kernel) {
  LiveRows live;
  for (const auto& service : kernel.state.services) {
    live.counters += service.counter_count;
    for_each_set(service, [&](const KernelSet& set, std::string_view traffic) {
      for (const auto id : set.set_ids) {
        live.sets[id].service = &service;
        live.sets[id].traffic.emplace_back(traffic);
      }
      add_lines(set, live);
    });
  }
  return live;
}

BackendUsers backend_users(const KernelSnapshot& kernel) {
  BackendUsers users;
  for (const auto& service : kernel.state.services) {
    for_each_set(service, [&](const KernelSet& set, std::string_view) {
      for (const auto& tier : set.tiers) {
        for (const auto id : tier.backend_ids) {
          auto& of_backend = users[id];
          if (of_backend.empty() || of_backend.back() != &service) of_backend.push_back(&service);
        }
      }
    });
  }
  return users;
}

std::uint32_t live_entries(const KernelSnapshot& kernel, const LiveRows& live,
                           const std::string& map_name) {
  const auto& maps = kernel.maps;
  const auto count = [](const auto& rows) { return static_cast<std::uint32_t>(rows.size()); };
  if (map_name == "affinities") return count(maps.affinities.entries());
  if (map_name == "backends") {
    const auto rows = maps.backends.rows();
    return static_cast<std::uint32_t>(std::count_if(rows.begin(), rows.end(), is_live));
  }
  if (map_name == "counters") return live.counters;
  if (map_name == "frontends") return count(dataplane::live_frontends(maps.frontends));
  if (map_name == "node_addresses") return count(maps.node_addresses.entries());
  if (map_name == "peers") return count(dataplane::live_peers(maps.peers));
  if (map_name == "service_names") return count(dataplane::read_names(maps.service_names));
  if (map_name == "sets") return count(live.sets);
  if (map_name == "settings") return 1;
  if (map_name == "slots") return count(live.lines);
  if (map_name == "source_ranges") return count(maps.source_ranges.entries());
  if (map_name == "topology_keys") return count(maps.topology_keys.entries());
  return 0;
}

Records list_backends(const KernelSnapshot& kernel) {
  Records records({{"ID", "id", Align::Right},
                   {"ADDRESS", "address"},
                   {"PROTOCOL", "protocol"},
                   {"STATE", "state"},
                   {"SERVICES", "services"}});
  const auto users = backend_users(kernel);
  const auto rows = kernel.maps.backends.rows();
  for (std::uint32_t id = 0; id < rows.size(); ++id) {
    const topolb_backend backend = rows[id];
    if (!is_live(backend)) continue;
    Json::Array services;
    std::vector<std::string> service_texts;
    if (const auto used = users.find(id); used != users.end()) {
      for (const auto* service : used->second) {
        service_texts.push_back(service_port_text(service->key));
        services.push_back(service_port_json(service));
      }
    }
    records.add({id, dataplane::from_wire(backend).to_string(),
                 to_string(static_cast<Protocol>(backend.protocol)),
                 backend.state == TOPOLB_BACKEND_USABLE ? "usable" : "unusable",
                 RecordCell(std::move(services), std::move(service_texts))});
  }
  return records;
}

}  // namespace topolb::cli
