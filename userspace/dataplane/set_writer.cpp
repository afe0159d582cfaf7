// SPDX-License-Identifier: Apache-2.0
#include "dataplane/set_writer.h"

#include <algorithm>
#include <limits>

namespace topolb::dataplane {
namespace {

std::uint8_t flags_of(const core::ServicePortPlan& port) {
  return static_cast<std::uint8_t>(
      (port.affinity_timeout_s > 0 ? TOPOLB_SET_CLIENT_IP_AFFINITY : 0) |
      (port.source_ranges.empty() ? 0 : TOPOLB_SET_SOURCE_RANGES));
}

Error full(const char* map) {
  return {std::make_error_code(std::errc::no_space_on_device),
          std::string("map ") + map + " is full"};
}

std::uint32_t backend_flags(const SocketAddress& backend, const core::ServicePortPlan& port) {
  const auto is_in = [&](const std::vector<SocketAddress>& sorted) {
    return std::binary_search(sorted.begin(), sorted.end(), backend);
  };
  if (is_in(port.local_backends)) return TOPOLB_BACKEND_LOCAL;
  return is_in(port.nodeless_backends) ? TOPOLB_BACKEND_NODELESS : 0;
}

}  // namespace

std::uint32_t lines_for(std::size_t backends) {
  return static_cast<std::uint32_t>((backends + TOPOLB_SLOTS_PER_LINE - 1) / TOPOLB_SLOTS_PER_LINE);
}

std::optional<std::uint16_t> KeyTable::id_of(const std::string& key) {
  if (key.empty()) return 0;
  if (const auto found = ids_.find(key); found != ids_.end()) return found->second;
  std::vector<std::uint16_t> taken;
  taken.reserve(ids_.size());
  for (const auto& [name, id] : ids_) taken.push_back(id);
  std::sort(taken.begin(), taken.end());
  std::uint16_t id = 1;
  for (const auto other : taken) {
    if (other != id) break;
    if (id == std::numeric_limits<std::uint16_t>::max()) return std::nullopt;
    ++id;
  }
  topolb_topology_key row{};
  key.copy(row.name, sizeof(row.name) - 1);
  if (!map_.put(id, row)) return std::nullopt;
  ids_.emplace(key, id);
  return id;
}

void KeyTable::restore() {
  for (const auto& [id, key] : map_.entries()) {
    ids_.emplace(std::string(key.name, ::strnlen(key.name, sizeof(key.name))),
                 static_cast<std::uint16_t>(id));
  }
}

void KeyTable::keep_only(const std::vector<std::string>& sorted_keys) {
  std::erase_if(ids_, [&](const auto& entry) {
    if (std::binary_search(sorted_keys.begin(), sorted_keys.end(), entry.first)) return false;
    return map_.erase(entry.second).has_value();
  });
}

SetWriter::SetWriter(KernelMaps& maps)
    : maps_(maps),
      keys_(maps.topology_keys),
      backends_(maps.backends, maps.settings[0].backend_ports),
      sets_(maps.sets.capacity()),
      lines_(maps.slots.capacity()) {}

Result<PreparedSet> SetWriter::prepare(const core::TrafficPlan& traffic,
                                       const core::ServicePortPlan& port,
                                       std::uint32_t first_counter, const NearRows& near) {
  PreparedSet prepared{.verdict = traffic.verdict,
                       .flags = flags_of(port),
                       .affinity_timeout_s = port.affinity_timeout_s,
                       .first_counter = first_counter,
                       .tiers = {},
                       .near_set = near.set};
  const auto add = [&](const std::vector<core::Tier>& tiers, bool terminating) -> Result<void> {
    for (std::size_t i = 0; i < tiers.size(); ++i) {
      if (tiers[i].backends.empty()) continue;
      auto tier = prepare_tier(tiers[i], port, near.backend);
      if (!tier) return full("backends or topology_keys");
      tier->terminating = terminating;
      tier->counter = tiers[i].key.empty()
                          ? std::uint8_t{TOPOLB_COUNTER_WITHOUT_KEY}
                          : static_cast<std::uint8_t>(TOPOLB_COUNTER_FIRST_KEY + i);
      prepared.tiers.push_back(std::move(*tier));
    }
    return {};
  };
  auto added = add(traffic.tiers, false);
  if (added) added = add(traffic.terminating_tiers, true);
  if (!added) {
    drop(prepared);
    return added.error();
  }
  return prepared;
}

std::optional<PreparedSet::Tier> SetWriter::prepare_tier(const core::Tier& tier,
                                                         const core::ServicePortPlan& port,
                                                         std::uint32_t near_backend) {
  PreparedSet::Tier prepared;
  const auto key_id = keys_.id_of(tier.key);
  if (!key_id) return std::nullopt;
  prepared.key_id = *key_id;
  prepared.backend_ids.reserve(tier.backends.size());
  for (const auto& backend : tier.backends) {
    const auto id =
        backends_.acquire(backend, port.key.protocol, backend_flags(backend, port), near_backend);
    if (!id) {
      for (const auto acquired : prepared.backend_ids) backends_.release(acquired);
      return std::nullopt;
    }
    prepared.backend_ids.push_back(*id);
    near_backend = *id + 1;
  }
  auto& ids = prepared.backend_ids;
  const auto in_order = std::is_sorted_until(ids.begin(), ids.end());  // mostly: as ids were given
  std::sort(in_order, ids.end());
  std::inplace_merge(ids.begin(), in_order, ids.end());
  return prepared;
}

void SetWriter::drop(const PreparedSet& prepared) {
  for (const auto& tier : prepared.tiers) {
    for (const auto id : tier.backend_ids) backends_.release(id);
  }
}

// A row for each tier, with its ids if they fit.
Result<std::vector<topolb_set>> SetWriter::place_tiers(const PreparedSet& prepared) {
  std::vector<topolb_set> rows(std::max<std::size_t>(1, prepared.tiers.size()));
  for (std::size_t i = 0; i < prepared.tiers.size(); ++i) {
    const auto& tier = prepared.tiers[i];
    topolb_set& row = rows[i];
    row.flags = tier.terminating ? TOPOLB_SET_TERMINATING : 0;
    row.counter = tier.counter;
    row.topology_key_id = tier.key_id;
    row.backend_count = static_cast<std::uint32_t>(tier.backend_ids.size());
    if (tier.backend_ids.size() <= TOPOLB_SLOTS_PER_SET) {
      std::copy(tier.backend_ids.begin(), tier.backend_ids.end(), row.backend_ids);
      continue;
    }
    const auto line = lines_.allocate(lines_for(tier.backend_ids.size()));
    if (!line) {
      for (const auto& dropped : rows) retire_lines(dropped);
      return full("slots");
    }
    row.first_line = *line;
    write_lines(*line, tier.backend_ids);
  }
  return rows;
}

void SetWriter::write_lines(std::uint32_t first, const std::vector<std::uint32_t>& backend_ids) {
  for (std::uint32_t slot = 0; slot < lines_for(backend_ids.size()) * TOPOLB_SLOTS_PER_LINE;
       ++slot) {
    maps_.slots[first + slot / TOPOLB_SLOTS_PER_LINE].backend_ids[slot % TOPOLB_SLOTS_PER_LINE] =
        slot < backend_ids.size() ? backend_ids[slot] : 0;
  }
}

void SetWriter::retire_lines(const topolb_set& row) {
  if (row.first_line != 0) lines_.retire(row.first_line, lines_for(row.backend_count));
}

Result<std::uint32_t> SetWriter::write(const PreparedSet& prepared) {
  auto rows = place_tiers(prepared);
  if (!rows) return rows.error();
  std::vector<std::uint32_t> chain;
  while (chain.size() < rows->size()) {
    const auto id = sets_.allocate_near(chain.empty() ? prepared.near_set : chain.back() + 1);
    if (!id) {
      for (const auto& dropped : *rows) retire_lines(dropped);
      for (const auto taken : chain) sets_.retire(taken);
      return full("sets");
    }
    chain.push_back(*id);
  }
  for (std::size_t i = 0; i < rows->size(); ++i) {
    topolb_set& row = (*rows)[i];
    row.verdict = static_cast<std::uint8_t>(prepared.verdict);
    row.flags |= prepared.flags;
    row.affinity_timeout_s = prepared.affinity_timeout_s;
    row.first_counter = prepared.first_counter;
    row.next_set = i + 1 < chain.size() ? chain[i + 1] : 0;
    maps_.sets[chain[i]] = row;
  }
  return chain.front();
}

bool SetWriter::holds(std::uint32_t set_id, const PreparedSet& prepared) const {
  if (set_id == 0) return false;
  const topolb_set& head = maps_.sets[set_id];
  if (head.verdict != static_cast<std::uint8_t>(prepared.verdict) ||
      (head.flags & ~TOPOLB_SET_TERMINATING) != prepared.flags ||
      head.affinity_timeout_s != prepared.affinity_timeout_s ||
      head.first_counter != prepared.first_counter) {
    return false;
  }
  if (prepared.tiers.empty()) return head.backend_count == 0 && head.next_set == 0;
  for (const auto& wanted : prepared.tiers) {
    if (set_id == 0 || !holds_tier(set_id, wanted)) return false;
    set_id = maps_.sets[set_id].next_set;
  }
  return set_id == 0;
}

bool SetWriter::holds_tier(std::uint32_t set_id, const PreparedSet::Tier& wanted) const {
  const topolb_set& set = maps_.sets[set_id];
  if (set.topology_key_id != wanted.key_id || set.counter != wanted.counter ||
      ((set.flags & TOPOLB_SET_TERMINATING) != 0) != wanted.terminating ||
      set.backend_count != wanted.backend_ids.size()) {
    return false;
  }
  for (std::uint32_t slot = 0; slot < set.backend_count; ++slot) {
    if (*slot_of(maps_, set_id, slot) != wanted.backend_ids[slot]) return false;
  }
  return true;
}

void SetWriter::retire(std::uint32_t set_id) {
  while (set_id != 0) {
    const topolb_set& set = maps_.sets[set_id];
    for (std::uint32_t slot = 0; slot < set.backend_count; ++slot) {
      backends_.release(*slot_of(maps_, set_id, slot));
    }
    retire_lines(set);
    sets_.retire(set_id);
    set_id = set.next_set;
  }
}

void SetWriter::restore(const KernelSet& set) {
  for (const auto id : set.set_ids) sets_.take(id);
  for (const auto& tier : set.tiers) {
    if (tier.first_line != 0) lines_.take(tier.first_line, lines_for(tier.backend_ids.size()));
    for (const auto id : tier.backend_ids) backends_.restore(id);
  }
}

void SetWriter::drop_unreferenced() {
  for (std::uint32_t id = 0; id < maps_.sets.capacity(); ++id) {
    if (maps_.sets[id].verdict != TOPOLB_VERDICT_NONE && sets_.is_free(id)) maps_.sets[id] = {};
  }
  for (std::uint32_t line = 0; line < maps_.slots.capacity(); ++line) {
    if (maps_.slots[line].backend_ids[0] != 0 && lines_.is_free(line)) maps_.slots[line] = {};
  }
}

void SetWriter::reclaim() {
  // A free row reads as zeros, so that a dump shows what is live.
  for (const auto& [first, length] : sets_.retired()) maps_.sets[first] = {};
  for (const auto& [first, length] : lines_.retired()) {
    for (auto line = first; line < first + length; ++line) maps_.slots[line] = {};
  }
  sets_.reclaim();
  lines_.reclaim();
  backends_.reclaim();
}

bool SetWriter::has_retired() const {
  return !sets_.retired().empty() || !lines_.retired().empty() || backends_.has_retired();
}

}  // namespace topolb::dataplane
