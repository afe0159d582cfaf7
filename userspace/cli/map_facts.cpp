// SPDX-License-Identifier: Apache-2.0
#include "cli/map_facts.h"

#include <bpf/libbpf.h>
#include <fmt/format.h>

#include <algorithm>
#include <fstream>

#include "cli/kernel_tables.h"
#include "cli/text.h"
#include "dataplane/frontend_table.h"

namespace topolb::cli {
namespace {

/// "memlock: 4096" of the descriptor's facts in /proc.
std::uint64_t memory_of(int fd) {
  std::ifstream facts(fmt::format("/proc/self/fdinfo/{}", fd));
  std::string word;
  std::uint64_t bytes = 0;
  while (facts >> word) {
    if (word == "memlock:") facts >> bytes;
  }
  return bytes;
}

std::uint32_t value_bytes(const bpf_map_info& info) {
  const int cpus = info.type == BPF_MAP_TYPE_PERCPU_ARRAY ? libbpf_num_possible_cpus() : 1;
  return info.value_size * static_cast<std::uint32_t>(std::max(1, cpus));
}

// What a map has room for: of these three, an entry is not a row.
std::uint32_t room_of(const KernelSnapshot& kernel, const std::string& name, std::uint32_t rows) {
  if (name == "frontends") return dataplane::frontends_for(rows);
  if (name == "peers") return rows * TOPOLB_PEERS_PER_LINE;
  return name == "counters" ? kernel.maps.counters.capacity() : rows;
}

}  // namespace

std::vector<MapFacts> map_facts(const KernelSnapshot& kernel, const std::string& pin_path) {
  const LiveRows live = live_rows(kernel);
  std::vector<MapFacts> result;
  for (const auto& name : dataplane::pinned_map_names()) {
    const auto fd = dataplane::open_pinned(fmt::format("{}/{}", pin_path, name));
    if (!fd) continue;
    const auto info = dataplane::map_info(fd->get(), name);
    if (!info) continue;
    const bool is_array =
        info->type == BPF_MAP_TYPE_ARRAY || info->type == BPF_MAP_TYPE_PERCPU_ARRAY;
    const auto room = room_of(kernel, name, info->max_entries);
    const auto entry_bytes =
        std::uint64_t{info->max_entries} * value_bytes(*info) / std::max(1U, room);
    const char* type = libbpf_bpf_map_type_str(static_cast<bpf_map_type>(info->type));
    result.push_back(
        {.name = name,
         .type = type == nullptr ? fmt::format("type {}", info->type) : type,
         .entries = live_entries(kernel, live, name),
         .max_entries = room,
         .key_bytes = info->key_size,
         .value_bytes = value_bytes(*info),
         .entry_bytes = (is_array ? 0 : info->key_size) + static_cast<std::uint32_t>(entry_bytes),
         .memory_bytes = memory_of(fd->get())});
  }
  return result;
}

Records map_records(const std::vector<MapFacts>& maps, bool sizes) {
  const auto shown = [sizes](const char* header) { return std::string(sizes ? header : ""); };
  Records records({{"MAP", "name"},
                   {shown("TYPE"), "type"},
                   {"ENTRIES", "entries", Align::Right},
                   {"MAX", "max_entries", Align::Right},
                   {"FULL", "", Align::Right},
                   {"", sizes ? "key_bytes" : ""},
                   {"", sizes ? "value_bytes" : ""},
                   {shown("ENTRY"), "", Align::Right},
                   {shown("MEMORY"), sizes ? "memory_bytes" : "", Align::Right}});
  for (const auto& map : maps) {
    records.add({map.name, map.type, map.entries, map.max_entries,
                 map.max_entries == 1 ? "-" : percent_text(map.entries, map.max_entries),
                 map.key_bytes, map.value_bytes, bytes_text(map.entry_bytes),
                 RecordCell(map.memory_bytes, bytes_text(map.memory_bytes))});
  }
  return records;
}

}  // namespace topolb::cli
