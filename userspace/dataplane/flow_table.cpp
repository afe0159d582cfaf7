// SPDX-License-Identifier: Apache-2.0
#include "dataplane/flow_table.h"

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
constexpr std::uint32_t kTaken = TOPOLB_FLOW_SLOT_TAKEN;

// Programs and this process change slots at the same time.
std::uint32_t load(const std::uint32_t& word) {
  return std::atomic_ref(const_cast<std::uint32_t&>(word)).load(std::memory_order_acquire);
}

void store(std::uint32_t& word, std::uint32_t value) {
  std::atomic_ref(word).store(value, std::memory_order_release);
}

bool exchange_if(std::uint32_t& word, std::uint32_t expected, std::uint32_t value) {
  return std::atomic_ref(word).compare_exchange_strong(expected, value);
}

std::uint16_t load_generation(const topolb_flow& flow) {
  return std::atomic_ref(const_cast<std::uint16_t&>(flow.generation))
      .load(std::memory_order_acquire);
}

void store_generation(topolb_flow& flow, std::uint16_t generation) {
  std::atomic_ref(flow.generation).store(generation, std::memory_order_seq_cst);
}

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
  const std::uint64_t rows = flows + std::uint64_t{flows} * 3 / 8;
  const auto lines = static_cast<std::uint32_t>((rows + TOPOLB_FLOW_WAYS - 1) / TOPOLB_FLOW_WAYS);
  return {.seed = seed,
          .lines = lines,
          .reply_lines = lines * 2 + lines / 4 + 1,  // less than half full at most
          .id_bits = static_cast<std::uint32_t>(std::bit_width(lines * TOPOLB_FLOW_WAYS)),
          .pad = 0};
}

Result<FlowTable> FlowTable::open(const std::function<Result<UniqueFd>(const std::string&)>& open,
                                  Access access, const topolb_settings& settings) {
  FlowTable table;
  table.settings_ = &settings;
  auto outcome = open_array(table.facts_, "flow_facts", open, access);
  if (outcome) outcome = open_array(table.flows_, "flows", open, access);
  if (outcome) outcome = open_array(table.index_, "flow_index", open, access);
  if (outcome) outcome = open_array(table.replies_, "flow_replies", open, access);
  if (!outcome) return outcome.error();
  const auto& facts = table.facts();
  if (facts.lines != table.index_.capacity() || facts.reply_lines != table.replies_.capacity() ||
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

std::uint32_t FlowTable::load_slot(std::uint32_t flow_id) const {
  return load(index_[flow_id / TOPOLB_FLOW_WAYS].slots[flow_id % TOPOLB_FLOW_WAYS]);
}

std::uint32_t FlowTable::count(std::uint32_t first_line, std::uint32_t lines) const {
  std::uint32_t used = 0;
  for (const auto& line : index_.rows().subspan(first_line, lines)) {
    for (const auto& slot : line.slots) used += load(slot) == kFree ? 0 : 1;
  }
  return used;
}

std::uint32_t FlowTable::reply_count() const {
  std::uint32_t used = 0;
  for (const auto& line : replies_.rows()) {
    for (std::size_t way = 0; way < TOPOLB_FLOW_REPLY_WAYS; ++way) {
      used += load(line.slots[way]) == kFree ? 0 : 1;
    }
  }
  return used;
}

std::optional<topolb_flow> FlowTable::read(std::uint32_t flow_id) const {
  if (load_slot(flow_id) <= kTaken) return std::nullopt;
  const auto generation = load_generation(flows_[flow_id]);
  const topolb_flow flow = flows_[flow_id];
  std::atomic_thread_fence(std::memory_order_acquire);
  if ((generation & 1) != 0 || load_generation(flows_[flow_id]) != generation) return std::nullopt;
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
  return from_wire(flow.client).family() == Family::IPv4 ? settings_->masquerade_ipv4
                                                         : settings_->masquerade_ipv6;
}

bool FlowTable::has_same_reply(const topolb_flow& a, const topolb_flow& b) const {
  const auto& seen_a = address_seen_by_backend(a);
  const auto& seen_b = address_seen_by_backend(b);
  return std::memcmp(&a.backend, &b.backend, sizeof(a.backend)) == 0 &&
         std::memcmp(&seen_a, &seen_b, sizeof(seen_a)) == 0 &&
         a.backend_port_be == b.backend_port_be && a.source_port_be == b.source_port_be &&
         a.protocol == b.protocol;
}

topolb_flow_place FlowTable::clients_place(const topolb_flow& flow) const {
  return topolb_flow_place_of(topolb_flow_hash(&flow.client, &flow.frontend, flow.client_port_be,
                                               flow.frontend_port_be, flow.protocol, facts().seed),
                              facts().lines);
}

topolb_flow_place FlowTable::reply_place(const topolb_flow& flow) const {
  return topolb_flow_reply_place_of(
      topolb_flow_hash(&flow.backend, &address_seen_by_backend(flow), flow.backend_port_be,
                       flow.source_port_be, flow.protocol, facts().seed),
      facts().reply_lines, facts().id_bits);
}

void FlowTable::drop_reply(const topolb_flow& flow, std::uint32_t flow_id) {
  const auto place = reply_place(flow);
  const auto wanted = topolb_flow_reply_slot(place.tag, flow_id, facts().id_bits);
  for (const auto line : place.lines) {
    for (std::size_t way = 0; way < TOPOLB_FLOW_REPLY_WAYS; ++way) {
      (void)exchange_if(replies_[line].slots[way], wanted, kFree);
    }
  }
}

bool FlowTable::remove(std::uint32_t flow_id, const topolb_flow& flow) {
  const auto tag = load_slot(flow_id);
  if (tag <= kTaken || load_generation(flows_[flow_id]) != flow.generation) return false;
  if (!exchange_if(slot(flow_id), tag, kTaken)) return false;
  if (load_generation(flows_[flow_id]) != flow.generation) {  // one with the same key came since
    store(slot(flow_id), tag);
    return false;
  }
  store_generation(flows_[flow_id], flow.generation | 1);
  drop_reply(flow, flow_id);
  store(slot(flow_id), kFree);
  return true;
}

bool FlowTable::has_client_key(const topolb_flow_place& place, const topolb_flow& flow) const {
  for (const auto line : place.lines) {
    for (std::uint32_t way = 0; way < TOPOLB_FLOW_WAYS; ++way) {
      const auto id = line * TOPOLB_FLOW_WAYS + way;
      if (load_slot(id) != place.tag) continue;
      const auto other = read(id);
      if (other && same_client_key(*other, flow)) return true;
    }
  }
  return false;
}

std::optional<std::uint32_t> FlowTable::take_row(const topolb_flow_place& place) {
  const auto rows_free = [&](std::uint32_t line) { return TOPOLB_FLOW_WAYS - count(line, 1); };
  std::array lines{place.lines[0], place.lines[1]};
  const auto first_free = rows_free(lines[0]);
  if (first_free <= TOPOLB_FLOW_RESERVED_WAYS && rows_free(lines[1]) > first_free) {
    std::swap(lines[0], lines[1]);
  }
  for (const auto line : lines) {
    for (std::uint32_t way = 0; way < TOPOLB_FLOW_WAYS; ++way) {
      const auto id = line * TOPOLB_FLOW_WAYS + way;
      if (exchange_if(slot(id), kFree, kTaken)) return id;
    }
  }
  return std::nullopt;
}

bool FlowTable::add_reply(const topolb_flow& flow, std::uint32_t flow_id) {
  const auto place = reply_place(flow);
  const auto wanted = topolb_flow_reply_slot(place.tag, flow_id, facts().id_bits);
  std::array<bool, 2> has_tag{};
  for (std::size_t choice = 0; choice < 2; ++choice) {
    for (std::size_t way = 0; way < TOPOLB_FLOW_REPLY_WAYS; ++way) {
      const auto slot = load(replies_[place.lines[choice]].slots[way]);
      if (slot >> facts().id_bits != place.tag) continue;
      has_tag[choice] = true;
      const auto other = (slot & ((1U << facts().id_bits) - 1)) - 1;
      if (other < capacity() && has_same_reply(flows_[other], flow)) return false;
    }
  }
  // A program looks at the first slot with the tag in each line.
  for (std::size_t choice = 0; choice < 2; ++choice) {
    auto& line = replies_[place.lines[choice]];
    for (std::size_t way = 0; way < TOPOLB_FLOW_REPLY_WAYS && !has_tag[choice]; ++way) {
      if (exchange_if(line.slots[way], kFree, wanted)) return true;
    }
    store(line.slots[TOPOLB_FLOW_REPLY_WAYS], 1);
  }
  return false;
}

bool FlowTable::insert(const topolb_flow& flow) {
  const auto place = clients_place(flow);
  if (has_client_key(place, flow)) return false;
  const auto id = take_row(place);
  if (!id) return false;
  topolb_flow& row = flows_[*id];
  const auto generation = static_cast<std::uint16_t>(load_generation(row) | 1);
  auto written = flow;
  written.generation = generation;
  row = written;
  // A direct flow has no replies here.
  if ((flow.state & TOPOLB_FLOW_DIRECT) == 0 && !add_reply(flow, *id)) {
    store(slot(*id), kFree);
    return false;
  }
  store_generation(row, static_cast<std::uint16_t>(generation + 1));
  store(slot(*id), place.tag);
  return true;
}

void FlowTable::sweep_replies(std::uint32_t first, std::uint32_t count) {
  const std::uint32_t ids = (1U << facts().id_bits) - 1;
  for (auto line = first; line < std::min(first + count, facts().reply_lines); ++line) {
    for (std::size_t way = 0; way < TOPOLB_FLOW_REPLY_WAYS; ++way) {
      auto& slot = replies_[line].slots[way];
      const auto value = load(slot);
      if (value == kFree) continue;
      const auto id = (value & ids) - 1;
      if (id < capacity()) {
        if (load_slot(id) == kTaken) continue;  // it comes or goes
        if (const auto flow = read(id)) {
          const auto place = reply_place(*flow);
          const bool here = place.lines[0] == line || place.lines[1] == line;
          if (here && value == topolb_flow_reply_slot(place.tag, id, facts().id_bits)) continue;
        } else if (load_slot(id) != kFree) {
          continue;
        }
      }
      (void)exchange_if(slot, value, kFree);
    }
  }
}

std::vector<std::pair<std::uint32_t, std::uint16_t>> FlowTable::taken(std::uint32_t first_line,
                                                                      std::uint32_t count) const {
  std::vector<std::pair<std::uint32_t, std::uint16_t>> rows;
  const auto end = std::min(first_line + count, facts().lines) * TOPOLB_FLOW_WAYS;
  for (auto id = first_line * TOPOLB_FLOW_WAYS; id < end; ++id) {
    if (load_slot(id) == kTaken) rows.emplace_back(id, load_generation(flows_[id]));
  }
  return rows;
}

void FlowTable::free_taken(const std::vector<std::pair<std::uint32_t, std::uint16_t>>& rows) {
  for (const auto& [id, generation] : rows) {
    if (load_generation(flows_[id]) != generation) continue;
    store_generation(flows_[id], generation | 1);
    (void)exchange_if(slot(id), kTaken, kFree);
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
