// SPDX-License-Identifier: Apache-2.0
#include "dataplane/set_writer.h"

#include <algorithm>
#include <limits>

namespace topolb::dataplane {
namespace {

std::uint32_t lines_for(std::size_t backends) {
  return static_cast<std::uint32_t>((backends + TOPOLB_SLOTS_PER_LINE - 1) / TOPOLB_SLOTS_PER_LINE);
}

std::uint8_t flags_of(const core::ServicePortPlan& port) {
  return static_cast<std::uint8_t>(
      (port.affinity_timeout_s > 0 ? TOPOLB_SET_CLIENT_IP_AFFINITY : 0) |
      (port.source_ranges.empty() ? 0 : TOPOLB_SET_SOURCE_RANGES));
}

Error full(const char* map) {
  return {std::make_error_code(std::errc::no_space_on_device),
          std::string("map ") + map + " is full"};
}

}  // namespace

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
      backends_(maps.backends),
      sets_(maps.sets.capacity()),
      lines_(maps.slots.capacity()) {}

Result<PreparedSet> SetWriter::prepare(const core::TrafficPlan& traffic,
                                       const core::ServicePortPlan& port,
                                       std::uint32_t first_counter) {
  PreparedSet prepared{.verdict = traffic.verdict,
                       .flags = flags_of(port),
                       .affinity_timeout_s = port.affinity_timeout_s,
                       .first_counter = first_counter,
                       .tiers = {}};
  const auto add = [&](const std::vector<core::Tier>& tiers, bool terminating) -> Result<void> {
    for (std::size_t i = 0; i < tiers.size(); ++i) {
      if (tiers[i].backends.empty()) continue;
      auto tier = prepare_tier(tiers[i], port);
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
                                                         const core::ServicePortPlan& port) {
  PreparedSet::Tier prepared;
  const auto key_id = keys_.id_of(tier.key);
  if (!key_id) return std::nullopt;
  prepared.key_id = *key_id;
  prepared.backend_ids.reserve(tier.backends.size());
  for (const auto& backend : tier.backends) {
    const bool local =
        std::binary_search(port.local_backends.begin(), port.local_backends.end(), backend);
    const auto id = backends_.acquire(backend, port.key.protocol,
                                      local ? std::uint32_t{TOPOLB_BACKEND_LOCAL} : 0U);
    if (!id) {
      for (const auto acquired : prepared.backend_ids) backends_.release(acquired);
      return std::nullopt;
    }
    prepared.backend_ids.push_back(*id);
  }
  std::sort(prepared.backend_ids.begin(), prepared.backend_ids.end());
  return prepared;
}

void SetWriter::drop(const PreparedSet& prepared) {
  for (const auto& tier : prepared.tiers) {
    for (const auto id : tier.backend_ids) backends_.release(id);
  }
}

std::optional<topolb_tier> SetWriter::write_tier(const PreparedSet::Tier& tier) {
  const auto count = static_cast<std::uint32_t>(tier.backend_ids.size());
  const auto first = lines_.allocate(lines_for(count));
  if (!first) return std::nullopt;
  for (std::uint32_t slot = 0; slot < lines_for(count) * TOPOLB_SLOTS_PER_LINE; ++slot) {
    maps_.slots[*first + slot / TOPOLB_SLOTS_PER_LINE].backend_ids[slot % TOPOLB_SLOTS_PER_LINE] =
        slot < count ? tier.backend_ids[slot] : 0;
  }
  return topolb_tier{.first_line = *first,
                     .backend_count = count,
                     .topology_key_id = tier.key_id,
                     .counter = tier.counter,
                     .terminating = tier.terminating};
}

Result<std::uint32_t> SetWriter::write(const PreparedSet& prepared) {
  std::vector<topolb_tier> tiers;
  std::vector<std::uint32_t> chain;
  const auto fail = [&](const char* map) -> Error {
    for (const auto& tier : tiers) lines_.retire(tier.first_line, lines_for(tier.backend_count));
    for (const auto id : chain) sets_.retire(id);
    return full(map);
  };
  for (const auto& tier : prepared.tiers) {
    const auto written = write_tier(tier);
    if (!written) return fail("slots");
    tiers.push_back(*written);
  }
  const auto length =
      std::max<std::size_t>(1, (tiers.size() + TOPOLB_TIERS_PER_SET - 1) / TOPOLB_TIERS_PER_SET);
  while (chain.size() < length) {
    const auto id = sets_.allocate();
    if (!id) return fail("sets");
    chain.push_back(*id);
  }
  for (std::size_t i = 0; i < length; ++i) {
    topolb_set set{};
    set.verdict = static_cast<std::uint8_t>(prepared.verdict);
    set.flags = prepared.flags;
    set.affinity_timeout_s = prepared.affinity_timeout_s;
    set.first_counter = prepared.first_counter;
    set.next_set = i + 1 < length ? chain[i + 1] : 0;
    while (set.tier_count < TOPOLB_TIERS_PER_SET &&
           i * TOPOLB_TIERS_PER_SET + set.tier_count < tiers.size()) {
      set.tiers[set.tier_count] = tiers[i * TOPOLB_TIERS_PER_SET + set.tier_count];
      ++set.tier_count;
    }
    maps_.sets[chain[i]] = set;
  }
  return chain.front();
}

bool SetWriter::holds(std::uint32_t set_id, const PreparedSet& prepared) const {
  if (set_id == 0) return false;
  const topolb_set* set = &maps_.sets[set_id];
  if (set->verdict != static_cast<std::uint8_t>(prepared.verdict) || set->flags != prepared.flags ||
      set->affinity_timeout_s != prepared.affinity_timeout_s ||
      set->first_counter != prepared.first_counter) {
    return false;
  }
  std::size_t at = 0;
  for (const auto& wanted : prepared.tiers) {
    if (at == set->tier_count) {
      if (set->next_set == 0) return false;
      set = &maps_.sets[set->next_set];
      at = 0;
    }
    if (at >= set->tier_count) return false;
    const topolb_tier& tier = set->tiers[at++];
    if (tier.topology_key_id != wanted.key_id || tier.counter != wanted.counter ||
        (tier.terminating != 0) != wanted.terminating ||
        tier.backend_count != wanted.backend_ids.size()) {
      return false;
    }
    for (std::uint32_t slot = 0; slot < tier.backend_count; ++slot) {
      const auto& line = maps_.slots[tier.first_line + slot / TOPOLB_SLOTS_PER_LINE];
      if (line.backend_ids[slot % TOPOLB_SLOTS_PER_LINE] != wanted.backend_ids[slot]) return false;
    }
  }
  return at == set->tier_count && set->next_set == 0;
}

void SetWriter::retire(std::uint32_t set_id) {
  while (set_id != 0) {
    const topolb_set& set = maps_.sets[set_id];
    for (std::size_t i = 0; i < set.tier_count; ++i) retire_lines(set.tiers[i]);
    sets_.retire(set_id);
    set_id = set.next_set;
  }
}

void SetWriter::retire_lines(const topolb_tier& tier) {
  for (std::uint32_t slot = 0; slot < tier.backend_count; ++slot) {
    backends_.release(maps_.slots[tier.first_line + slot / TOPOLB_SLOTS_PER_LINE]
                          .backend_ids[slot % TOPOLB_SLOTS_PER_LINE]);
  }
  lines_.retire(tier.first_line, lines_for(tier.backend_count));
}

void SetWriter::restore(const KernelSet& set) {
  for (const auto id : set.set_ids) sets_.take(id);
  for (const auto& tier : set.tiers) {
    lines_.take(tier.first_line, lines_for(tier.backend_ids.size()));
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
