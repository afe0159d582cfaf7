// SPDX-License-Identifier: Apache-2.0
#include "dataplane/flow_table.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstring>
#include <ctime>

#include "dataplane/kernel_state.h"

namespace topolb::dataplane {
namespace {

constexpr std::uint32_t kFree = TOPOLB_FLOW_SLOT_FREE;

// Programs and this process change words at the same time.
template <typename Word>
Word load(const Word& word) {
  return std::atomic_ref(const_cast<Word&>(word)).load(std::memory_order_acquire);
}

bool exchange_if(std::uint32_t& word, std::uint32_t expected, std::uint32_t value) {
  return std::atomic_ref(word).compare_exchange_strong(expected, value);
}

std::uint16_t load_generation(const topolb_flow& flow) { return load(flow.generation); }

void store_generation(topolb_flow& flow, std::uint16_t generation) {
  std::atomic_ref(flow.generation).store(generation, std::memory_order_seq_cst);
}

// 0: that of a row that was never used.
bool is_of_flow(std::uint16_t generation) { return generation != 0 && (generation & 1) == 0; }

bool same_client_key(const topolb_flow& a, const topolb_flow& b) {
  return std::memcmp(&a.client, &b.client, sizeof(a.client)) == 0 &&
         std::memcmp(&a.frontend, &b.frontend, sizeof(a.frontend)) == 0 &&
         a.client_port_be == b.client_port_be && a.frontend_port_be == b.frontend_port_be &&
         a.protocol == b.protocol;
}

template <typename Row>
Result<void> open_array(MappedArray<Row>& array, const std::string& name,
                        const std::function<Result<UniqueFd>(const std::string&)>& open,
                        Access access) {
  auto fd = open(name);
  if (!fd) return fd.error();
  auto mapped = MappedArray<Row>::from_fd(std::move(*fd), name, access);
  if (!mapped) return mapped.error();
  array = std::move(*mapped);
  return {};
}

}  // namespace

topolb_flow_facts flow_facts_for(std::uint32_t flows, std::uint64_t seed) {
  constexpr std::uint64_t kRows = TOPOLB_FLOW_ROWS_PER_LINE;
  const auto row_lines = static_cast<std::uint32_t>((flows + kRows - 1) / kRows);
  const auto rows = row_lines * kRows;
  // Two slots for each row; five of fifteen are taken when all rows are.
  const auto lines = static_cast<std::uint32_t>(rows * 2 / 5 + 1);
  return {.seed = seed,
          .row_lines = row_lines,
          .lines = lines,
          .id_bits = static_cast<std::uint32_t>(std::bit_width(rows)),
          .layout_version = TOPOLB_LAYOUT_VERSION,
          .maps = 0,
          .port_step = topolb_flow_port_step(lines)};
}

Result<FlowTable> FlowTable::open(const std::function<Result<UniqueFd>(const std::string&)>& open,
                                  Access access, const topolb_settings& settings) {
  FlowTable table;
  table.settings_ = &settings;
  auto outcome = open_array(table.facts_, "flow_facts", open, access);
  if (outcome) outcome = open_array(table.flows_, "flows", open, access);
  if (outcome) outcome = open_array(table.rows_, "flow_rows", open, access);
  if (outcome) outcome = open_array(table.index_, "flow_index", open, access);
  if (!outcome) return outcome.error();
  const auto& facts = table.facts();
  if (facts.layout_version != TOPOLB_LAYOUT_VERSION) {
    return make_error(fmt::format("the flow table has layout version {}, this program knows {}",
                                  facts.layout_version, TOPOLB_LAYOUT_VERSION));
  }
  if (facts.lines != table.index_.capacity() || facts.row_lines != table.rows_.capacity() ||
      table.capacity() != table.flows_.capacity()) {
    return make_error("the maps of the flow table do not fit together");
  }
  return table;
}

Result<FlowTable> FlowTable::open_pinned(const std::string& pin_path, Access access,
                                         const topolb_settings& settings) {
  return open(
      [&](const std::string& name) { return dataplane::open_pinned(pin_of_map(pin_path, name)); },
      access, settings);
}

__u64& FlowTable::taken_word(std::uint32_t flow_id) {
  return rows_[flow_id / TOPOLB_FLOW_ROWS_PER_LINE]
      .taken[flow_id / TOPOLB_FLOW_ROWS_PER_WORD % TOPOLB_FLOW_ROW_WORDS];
}

bool FlowTable::is_taken(std::uint32_t flow_id) const {
  const auto& word = const_cast<FlowTable*>(this)->taken_word(flow_id);
  return (load(word) >> flow_id % TOPOLB_FLOW_ROWS_PER_WORD & 1) != 0;
}

std::uint32_t FlowTable::count() const {
  int used = 0;
  for (const auto& line : rows_.rows()) {
    for (const auto& word : line.taken) used += std::popcount(load(word));
  }
  return static_cast<std::uint32_t>(used);
}

std::uint32_t FlowTable::slot_count() const {
  std::uint32_t used = 0;
  for (const auto& line : index_.rows()) {
    for (const auto& slot : line.slots) used += load(slot) == kFree ? 0 : 1;
  }
  return used;
}

std::optional<topolb_flow> FlowTable::read(std::uint32_t flow_id) const {
  const auto generation = load_generation(flows_[flow_id]);
  if (!is_of_flow(generation) || !is_taken(flow_id)) return std::nullopt;
  const topolb_flow flow = flows_[flow_id];
  std::atomic_thread_fence(std::memory_order_acquire);
  if (load_generation(flows_[flow_id]) != generation) return std::nullopt;
  return flow;
}

void FlowTable::for_each(
    const std::function<void(std::uint32_t, const topolb_flow&)>& visit) const {
  for (std::uint32_t id = 0; id < capacity(); ++id) {
    if (const auto flow = read(id)) visit(id, *flow);
  }
}

const topolb_address& FlowTable::address_seen_by_backend(const topolb_flow& flow) const {
  if ((flow.state & TOPOLB_FLOW_MASQUERADED) == 0) return flow.client;
  return settings_->masquerades[flow.masquerade % TOPOLB_MASQUERADES];
}

bool FlowTable::has_same_reply(const topolb_flow& a, const topolb_flow& b) const {
  const auto& seen_a = address_seen_by_backend(a);
  const auto& seen_b = address_seen_by_backend(b);
  return std::memcmp(&a.backend, &b.backend, sizeof(a.backend)) == 0 &&
         std::memcmp(&seen_a, &seen_b, sizeof(seen_a)) == 0 &&
         a.backend_port_be == b.backend_port_be && a.source_port_be == b.source_port_be &&
         a.protocol == b.protocol;
}

std::uint64_t FlowTable::clients_hash(const topolb_flow& flow) const {
  const auto base = topolb_flow_base(&flow.client, &flow.frontend, flow.frontend_port_be,
                                     flow.protocol, facts().seed);
  return topolb_flow_hash(base, ntohs(flow.client_port_be), facts().port_step);
}

std::uint64_t FlowTable::reply_hash(const topolb_flow& flow) const {
  const auto base =
      topolb_flow_base(&flow.backend, &address_seen_by_backend(flow), flow.backend_port_be,
                       flow.protocol, topolb_flow_replys_seed(facts().seed));
  return topolb_flow_hash(base, ntohs(flow.source_port_be), facts().port_step);
}

topolb_flow_place FlowTable::place_of(std::uint64_t hash) const {
  return topolb_flow_place_of(hash, facts().lines, facts().id_bits);
}

void FlowTable::drop_slot(std::uint64_t hash, std::uint32_t flow_id) {
  const auto place = place_of(hash);
  const auto wanted = topolb_flow_slot(place.tag, flow_id, facts().id_bits);
  for (const auto line : place.lines) {
    for (auto& slot : index_[line].slots) (void)exchange_if(slot, wanted, kFree);
  }
}

void FlowTable::drop_slots(const topolb_flow& flow, std::uint32_t flow_id) {
  drop_slot(clients_hash(flow), flow_id);
  drop_slot(reply_hash(flow), flow_id);
}

void FlowTable::free_row(std::uint32_t flow_id) {
  std::atomic_ref(taken_word(flow_id))
      .fetch_and(~(__u64{1} << flow_id % TOPOLB_FLOW_ROWS_PER_WORD));
}

bool FlowTable::remove(std::uint32_t flow_id, const topolb_flow& flow) {
  auto& word = *topolb_flow_generation_word(&flows_[flow_id]);
  const auto before = load(word);
  if (before >> TOPOLB_FLOW_GENERATION_SHIFT != flow.generation || !is_of_flow(flow.generation) ||
      !exchange_if(word, before, before | 1U << TOPOLB_FLOW_GENERATION_SHIFT)) {
    return false;
  }
  drop_slots(flow, flow_id);
  free_row(flow_id);
  return true;
}

std::optional<std::uint32_t> FlowTable::take_row() {
  for (std::uint32_t step = 0; step < facts().row_lines; ++step) {
    const auto first = next_line_ * TOPOLB_FLOW_ROWS_PER_LINE;
    for (auto id = first; id < first + TOPOLB_FLOW_ROWS_PER_LINE; ++id) {
      const auto bit = __u64{1} << id % TOPOLB_FLOW_ROWS_PER_WORD;
      if (!is_taken(id) && (std::atomic_ref(taken_word(id)).fetch_or(bit) & bit) == 0) return id;
    }
    next_line_ = (next_line_ + 1) % facts().row_lines;
  }
  return std::nullopt;
}

// A program looks at the first slot with the tag in each line, and at the second line only if the
// first has its mark.
bool FlowTable::add_slot(std::uint64_t hash, std::uint32_t flow_id, const SameKey& has_same_key) {
  const auto place = place_of(hash);
  std::array<bool, 2> has_tag{};
  for (std::size_t choice = 0; choice < 2; ++choice) {
    for (const auto& slot : index_[place.lines[choice]].slots) {
      const auto value = load(slot);
      if (value == kFree || value >> facts().id_bits != place.tag) continue;
      has_tag[choice] = true;
      const auto other = topolb_flow_id_in(value, facts().id_bits);
      // Its own two keys may stand in one line with one tag.
      if (other < capacity() && other != flow_id && has_same_key(flows_[other])) return false;
    }
  }
  const auto wanted = topolb_flow_slot(place.tag, flow_id, facts().id_bits);
  for (std::size_t choice = 0; choice < 2; ++choice) {
    auto& line = index_[place.lines[choice]];
    for (auto& slot : line.slots) {
      if (!has_tag[choice] && exchange_if(slot, kFree, wanted)) return true;
    }
    if (choice == 0) std::atomic_ref(line.is_overflowed).store(1);
  }
  return false;
}

std::optional<std::uint32_t> FlowTable::insert(const topolb_flow& flow) {
  const auto id = take_row();
  if (!id) return std::nullopt;
  topolb_flow& row = flows_[*id];
  auto generation = static_cast<std::uint16_t>(load_generation(row) | 1);
  auto written = flow;
  written.generation = generation;
  row = written;
  const bool is_new =
      add_slot(clients_hash(flow), *id,
               [&](const topolb_flow& other) { return same_client_key(other, flow); }) &&
      // A direct flow has no replies here.
      ((flow.state & TOPOLB_FLOW_DIRECT) != 0 ||
       add_slot(reply_hash(flow), *id,
                [&](const topolb_flow& other) { return has_same_reply(other, flow); }));
  if (!is_new) {
    drop_slots(flow, *id);
    free_row(*id);
    return std::nullopt;
  }
  if (++generation == 0) generation = 2;
  store_generation(row, generation);
  return id;
}

bool FlowTable::may_stand_in(std::uint32_t line, std::uint32_t slot) const {
  const auto id = topolb_flow_id_in(slot, facts().id_bits);
  if (id >= capacity()) return false;
  const auto flow = read(id);
  if (!flow) return is_taken(id);  // it comes or goes
  for (const auto hash : {clients_hash(*flow), reply_hash(*flow)}) {
    const auto place = place_of(hash);
    if ((place.lines[0] == line || place.lines[1] == line) &&
        slot == topolb_flow_slot(place.tag, id, facts().id_bits)) {
      return true;
    }
  }
  return false;
}

void FlowTable::sweep_slots(std::uint32_t first, std::uint32_t count) {
  for (auto line = first; line < std::min(first + count, facts().lines); ++line) {
    for (auto& slot : index_[line].slots) {
      const auto value = load(slot);
      if (value != kFree && !may_stand_in(line, value)) (void)exchange_if(slot, value, kFree);
    }
  }
}

std::vector<std::pair<std::uint32_t, std::uint16_t>> FlowTable::taken(std::uint32_t first_row,
                                                                      std::uint32_t count) const {
  std::vector<std::pair<std::uint32_t, std::uint16_t>> rows;
  for (auto id = first_row; id < std::min(first_row + count, capacity()); ++id) {
    const auto generation = load_generation(flows_[id]);
    if (is_taken(id) && !is_of_flow(generation)) rows.emplace_back(id, generation);
  }
  return rows;
}

void FlowTable::free_taken(const std::vector<std::pair<std::uint32_t, std::uint16_t>>& rows) {
  for (const auto& [id, generation] : rows) {
    if (is_taken(id) && load_generation(flows_[id]) == generation) free_row(id);
  }
}

std::uint32_t flow_time_now() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return topolb_flow_time(static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
                          static_cast<std::uint64_t>(now.tv_nsec));
}

bool is_idle_too_long(const topolb_flow& flow, std::uint32_t now) {
  const auto idle = static_cast<std::int32_t>(now - flow.touched);
  return idle > 0 && topolb_flow_seconds(static_cast<std::uint32_t>(idle)) >
                         topolb_flow_timeout_s(flow.protocol, flow.state);
}

}  // namespace topolb::dataplane
