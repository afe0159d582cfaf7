// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "cli/map_decode.h"
#include "cli/plan_view.h"
#include "cli/text.h"

namespace topolb::cli {
namespace {

/// The tier of one row of `sets`, if it has one, as a list: other layouts had more. "zone: 20 at
/// 16" means 20 backends from slot 16 of `slots` on, "at 0" in the row itself.
RecordCell tiers_cell(const topolb_set& set, const std::map<std::uint32_t, std::string>& keys) {
  Json::Array tiers;
  std::vector<std::string> texts;
  if (set.backend_count != 0) {
    const auto found = keys.find(set.topology_key_id);
    const bool has_key = found != keys.end();
    const auto first_slot = set.first_line * TOPOLB_SLOTS_PER_LINE;
    tiers.emplace_back(Json::Object{{"key", has_key ? Json(found->second) : Json()},
                                    {"terminating", (set.flags & TOPOLB_SET_TERMINATING) != 0},
                                    {"first_slot", first_slot},
                                    {"backend_count", set.backend_count},
                                    {"counter", set.first_counter + set.counter}});
    texts.push_back(fmt::format("{}: {} at {}", has_key ? short_key(found->second) : "all",
                                set.backend_count, first_slot));
  }
  return {std::move(tiers), std::move(texts)};
}

/// What lies in the slots of a row of `sets`.
std::vector<std::uint32_t> own_slots(const topolb_set& set) {
  std::vector<std::uint32_t> ids;
  std::copy_if(std::begin(set.backend_ids), std::end(set.backend_ids), std::back_inserter(ids),
               [](std::uint32_t id) { return id != 0; });
  return ids;
}

RecordCell backends_cell(const KernelSnapshot& kernel, const std::vector<std::uint32_t>& ids) {
  Json::Array backends;
  std::vector<std::string> texts;
  for (const auto id : ids) {
    texts.push_back(backend_text(kernel, id));
    backends.emplace_back(Json::Object{{"id", id}, {"address", texts.back()}});
  }
  return {std::move(backends), std::move(texts)};
}

/// Most sets serve every kind of traffic that the Service has.
RecordCell traffic_cell(const std::vector<std::string>& traffic) {
  std::vector<std::string> words;
  words.reserve(traffic.size());
  for (const auto& kind : traffic) words.push_back(kind == "node_external" ? "node" : kind);
  return {Json(traffic), traffic.size() == 3 ? "all" : joined(words)};
}

}  // namespace

Json id_or_null(std::uint32_t id) { return id == 0 ? Json() : Json(id); }

RecordCell service_cell(const KernelSnapshot& kernel, std::uint32_t service_id) {
  const auto* service = kernel.service(service_id);
  return {service_port_json(service),
          service == nullptr ? std::string("-") : service_port_text(service->key)};
}

std::string backend_text(const KernelSnapshot& kernel, std::uint32_t backend_id) {
  if (backend_id >= kernel.maps.backends.capacity()) return fmt::format("id {}", backend_id);
  return dataplane::from_wire(kernel.maps.backends[backend_id]).to_string();
}

Records decode_counters(const KernelSnapshot& kernel) {
  Records records({{"ID", "id", Align::Right},
                   {"", "service_id"},
                   {"SERVICE", "service"},
                   {"", "counts"},
                   {"COUNTS", ""},
                   {"CONNECTIONS", "connections", Align::Right}});
  for (const auto& service : kernel.state.services) {
    const ServiceView view = view_of(service, kernel.maps);
    std::uint32_t id = service.first_counter;
    const auto add = [&](const std::string& name, const std::string& shown, std::uint64_t count) {
      records.add({id++, service.id, service_cell(kernel, service.id), name, shown, count});
    };
    if (service.counter_count < TOPOLB_COUNTER_FIRST_KEY) continue;
    add("refused", "refused", view.refused);
    add("without_key", "without key", view.without_key);
    for (std::size_t i = 0; i < view.by_key.size(); ++i) {
      const auto& [key, count] = view.by_key[i];
      const std::string position = fmt::format("key {}", i + 1);
      add(key.empty() ? position : key, key.empty() ? position : short_key(key), count);
    }
  }
  return records;
}

Records decode_service_names(const KernelSnapshot& kernel) {
  Records records({{"ID", "service_id", Align::Right},
                   {"SERVICE", "service"},
                   {"PORT NAME", ""},
                   {"COUNTERS", ""},
                   {"", "first_counter"},
                   {"", "counter_count"}});
  for (const auto& [id, service] : kernel.services) {
    records.add({id, service_cell(kernel, id),
                 service->port_name.empty() ? "-" : service->port_name,
                 fmt::format("{} to {}", service->first_counter,
                             service->first_counter + service->counter_count - 1),
                 service->first_counter, service->counter_count});
  }
  return records;
}

Records decode_sets(const KernelSnapshot& kernel) {
  Records records({{"SET", "set_id", Align::Right},
                   {"", "service_id"},
                   {"SERVICE", "service"},
                   {"TRAFFIC", "traffic"},
                   {"VERDICT", "verdict"},
                   {"TIERS", "tiers"},
                   {"BACKENDS", "backends"},
                   {"NEXT", "next_set", Align::Right},
                   {"", "affinity_timeout_seconds"},
                   {"", "first_counter"}});
  const auto keys = dataplane::topology_key_names(kernel.maps);
  for (const auto& [id, use] : live_rows(kernel).sets) {
    const topolb_set set = kernel.maps.sets[id];
    records.add({id, use.service->id, service_cell(kernel, use.service->id),
                 traffic_cell(use.traffic),
                 core::to_string(static_cast<core::Verdict>(set.verdict)), tiers_cell(set, keys),
                 backends_cell(kernel, own_slots(set)), id_or_null(set.next_set),
                 id_or_null(set.affinity_timeout_s), set.first_counter});
  }
  return records;
}

Records decode_slots(const KernelSnapshot& kernel) {
  Records records({{"LINE", "line", Align::Right},
                   {"SET", "set_id", Align::Right},
                   {"", "service_id"},
                   {"SERVICE", "service"},
                   {"BACKENDS", "backends"}});
  const LiveRows live = live_rows(kernel);
  for (const auto& [line, row] : live.lines) {
    const auto service_id = live.sets.at(row.set_id).service->id;
    records.add({line, row.set_id, service_id, service_cell(kernel, service_id),
                 backends_cell(kernel, row.backend_ids)});
  }
  return records;
}

Records decode_topology_keys(const KernelSnapshot& kernel) {
  Records records({{"ID", "id", Align::Right}, {"KEY", "key"}});
  for (const auto& [id, key] : dataplane::topology_key_names(kernel.maps)) records.add({id, key});
  return records;
}

}  // namespace topolb::cli
