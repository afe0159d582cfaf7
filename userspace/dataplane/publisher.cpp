// SPDX-License-Identifier: Apache-2.0
#include "dataplane/publisher.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "dataplane/grace_period.h"
#include "dataplane/service_names.h"

namespace topolb::dataplane {
namespace {

using TrafficPlans = std::array<const core::TrafficPlan*, 3>;

// Kinds of traffic with the same backends share a set: the first of those equal to plans[i].
std::size_t first_equal(const TrafficPlans& plans, std::size_t i) {
  for (std::size_t at = 0; at < i; ++at) {
    if (plans[at] != nullptr && *plans[at] == *plans[i]) return at;
  }
  return i;
}

// What a row of the frontends table says for a Service's frontend. Plans have external traffic
// whenever they have an external frontend.
template <typename Record>
topolb_frontend_row row_of(const core::Frontend& frontend, Protocol protocol,
                           const Record& record) {
  const auto key = to_wire(frontend, protocol);
  const bool is_cluster_ip = frontend.kind == core::FrontendKind::ClusterIP;
  return {.address = key.address,
          .port_be = key.port_be,
          .protocol = key.protocol,
          .kind = static_cast<std::uint8_t>(frontend.kind),
          .service_id = record.id,
          .inside_set = is_cluster_ip ? record.sets.internal : record.sets.node_external,
          .outside_set = is_cluster_ip ? record.sets.internal : record.sets.external};
}

Error map_full(const char* map) {
  return {std::make_error_code(std::errc::no_space_on_device), fmt::format("map {} is full", map)};
}

}  // namespace

std::uint32_t counters_for(const core::ServicePortPlan& plan) {
  std::size_t keys = 0;
  for (const auto* traffic : {&plan.internal, plan.external ? &*plan.external : nullptr,
                              plan.node_external ? &*plan.node_external : nullptr}) {
    if (traffic != nullptr && traffic->has_keys) {
      keys = std::max({keys, traffic->tiers.size(), traffic->terminating_tiers.size()});
    }
  }
  return static_cast<std::uint32_t>(TOPOLB_COUNTER_FIRST_KEY + keys);
}

Publisher::Publisher(KernelMaps& maps)
    : maps_(maps),
      writer_(maps),
      frontends_(maps.frontends, maps.settings[0]),
      source_ranges_(maps.source_ranges),
      service_ids_(maps.service_names.capacity()),
      counter_ids_(maps.counters.capacity()) {}

void Publisher::take_over(const std::vector<core::SharedPlan>& plan) {
  // Programs may still be reading what the agent before replaced with its last breath.
  wait_for_running_programs();
  const KernelState state = read_kernel_state(maps_);
  restore(state);
  // Idle backends are in no set: what is theirs among these rows, the plan takes.
  const auto in_no_set = writer_.backends().restore_unreferenced();
  execute(core::diff({}, plan));
  remove_leftovers(state, plan);
  for (const auto id : in_no_set) writer_.backends().release(id);
  std::set<std::string> keys;
  for (const auto& port : plan) {
    for (const auto* traffic :
         {&port->internal, port->external ? &*port->external : &port->internal}) {
      for (const auto& tier : traffic->tiers) keys.insert(tier.key);
      for (const auto& tier : traffic->terminating_tiers) keys.insert(tier.key);
    }
  }
  writer_.keys().keep_only({keys.begin(), keys.end()});
}

void Publisher::restore(const KernelState& state) {
  writer_.keys().restore();
  frontends_.restore();
  source_ranges_.restore();
  for (const auto& service : state.services) {
    const auto head = [](const KernelSet& set) {
      return set.set_ids.empty() ? 0 : set.set_ids.front();
    };
    const std::uint32_t name_rows = maps_.service_names[service.id].row_count;
    service_ids_.take(service.id, name_rows);
    counter_ids_.take(service.first_counter, service.counter_count);
    records_[service.key] = {
        .id = service.id,
        .name_rows = name_rows,
        .first_counter = service.first_counter,
        .counter_count = service.counter_count,
        .sets = {.internal = head(service.internal),
                 .external = service.external ? head(*service.external) : 0,
                 .node_external = service.node_external ? head(*service.node_external) : 0}};
    for (const auto& frontend : service.frontends) count_node_port(frontend, +1);
    std::set<std::uint32_t> heads{0};
    for (const auto* set : {&service.internal, service.external ? &*service.external : nullptr,
                            service.node_external ? &*service.node_external : nullptr}) {
      if (set != nullptr && heads.insert(head(*set)).second) writer_.restore(*set);
    }
  }
  write_node_ports();  // at once: programs are using it
  writer_.drop_unreferenced();
  for (const auto& frontend : state.orphan_frontends) frontends_.retire(*frontends_.find(frontend));
  for (const auto& [id, name] : read_names(maps_.service_names)) {
    if (service_ids_.is_free(id)) clear_name(maps_.service_names, id);  // nothing dials it
  }
}

void Publisher::remove_leftovers(const KernelState& state,
                                 const std::vector<core::SharedPlan>& plan) {
  std::vector<core::Operation> removals;
  for (const auto& service : state.services) {
    const auto planned =
        std::lower_bound(plan.begin(), plan.end(), service.key,
                         [](const auto& port, const auto& key) { return port->key < key; });
    const bool stays = planned != plan.end() && (*planned)->key == service.key;
    for (const auto& frontend : service.frontends) {
      if (!stays || !std::binary_search((*planned)->frontends.begin(), (*planned)->frontends.end(),
                                        frontend)) {
        removals.emplace_back(core::RemoveFrontend{service.key, frontend});
      }
    }
    if (!stays) removals.emplace_back(core::RemoveService{service.key});
  }
  execute(removals);
}

void Publisher::execute(const std::vector<core::Operation>& operations) {
  for (const auto& operation : operations) {
    std::visit([this](const auto& one) { apply(one); }, operation);
  }
  retry_failed();
}

void Publisher::apply(const core::PublishService& operation) {
  auto published = publish(*operation.plan);
  if (published) {
    unpublished_.erase(operation.plan->key);
  } else {
    unpublished_.insert_or_assign(operation.plan->key,
                                  std::pair{operation.plan, published.error()});
  }
}

void Publisher::apply(const core::AddFrontend& operation) {
  auto added = add_frontend(operation);
  if (added) {
    unadded_.erase({operation.service, operation.frontend});
  } else {
    unadded_.insert_or_assign(std::pair{operation.service, operation.frontend}, added.error());
  }
}

void Publisher::apply(const core::RemoveFrontend& operation) {
  unadded_.erase({operation.service, operation.frontend});
  const auto record = records_.find(operation.service);
  if (record == records_.end()) return;
  auto* row = frontends_.find(to_wire(operation.frontend, operation.service.protocol));
  if (row == nullptr || row->service_id != record->second.id) return;  // another Service has it now
  frontends_.retire(*row);
  count_node_port(operation.frontend, -1);
  write_node_ports();
}

void Publisher::apply(const core::RemoveService& operation) {
  unpublished_.erase(operation.service);
  const auto found = records_.find(operation.service);
  if (found == records_.end()) return;
  const Record record = found->second;
  const auto& [internal, external, node_external] = record.sets;
  for (const auto head : std::set<std::uint32_t>{internal, external, node_external}) {
    writer_.retire(head);
  }
  source_ranges_.keep_only(record.id, {});
  for (const auto id : idle_backends_[record.id]) writer_.backends().release(id);
  idle_backends_.erase(record.id);
  clear_name(maps_.service_names, record.id);
  counter_ids_.retire(record.first_counter, record.counter_count);
  service_ids_.retire(record.id, record.name_rows);
  records_.erase(found);
}

Result<void> Publisher::publish(const core::ServicePortPlan& plan) {
  const auto known = records_.find(plan.key);
  const Record before = known == records_.end() ? Record{} : known->second;
  auto wanted = record_of(plan, before);
  if (!wanted) return wanted.error();
  Record& record = known == records_.end() ? records_[plan.key] : known->second;
  record = *wanted;
  // Before the sets let go of them.
  auto idle = acquire_known(plan.idle_backends, plan.key.protocol);
  const auto id = record.id;
  has_affinity_ = has_affinity_ || plan.affinity_timeout_s > 0;
  auto switched = source_ranges_.add(id, plan.source_ranges);
  if (switched) switched = switch_sets(record, plan);
  if (switched) {
    source_ranges_.keep_only(id, plan.source_ranges);
    idle.swap(idle_backends_[id]);
    if (idle_backends_[id].empty()) idle_backends_.erase(id);
  }
  for (const auto backend_id : idle) writer_.backends().release(backend_id);
  if (!switched && before.id == 0) {
    apply(core::RemoveService{plan.key});  // a new one that found no room
    return switched;                       // its record is gone
  }
  keep_counters_of_sets(record, before, plan, switched.has_value());
  return switched;
}

// The sets in the kernel, which stay if they could not be switched, count by their own numbers.
void Publisher::keep_counters_of_sets(Record& record, const Record& before,
                                      const core::ServicePortPlan& plan, bool switched) {
  if (before.counter_count == 0 || before.first_counter == record.first_counter) return;
  Record unused = before;
  if (!switched) {
    std::swap(unused.first_counter, record.first_counter);
    std::swap(unused.counter_count, record.counter_count);
    write_name(maps_.service_names, record.id,
               {.key = plan.key,
                .port_name = plan.port_name,
                .first_counter = record.first_counter,
                .counter_count = record.counter_count});
  }
  counter_ids_.retire(unused.first_counter, unused.counter_count);
}

// Those that have a row: only they can have flows.
std::vector<std::uint32_t> Publisher::acquire_known(const std::vector<SocketAddress>& backends,
                                                    Protocol protocol) {
  std::vector<std::uint32_t> ids;
  for (const auto& backend : backends) {
    if (const auto id = writer_.backends().acquire_known(backend, protocol)) ids.push_back(*id);
  }
  return ids;
}

Result<Publisher::Record> Publisher::record_of(const core::ServicePortPlan& plan,
                                               const Record& known) {
  const std::uint32_t counter_count = counters_for(plan);
  Record record = known;
  if (record.counter_count != counter_count) {
    const auto counters = allocate(counter_ids_, counter_count);
    if (!counters) return map_full("counters");
    maps_.counters.reset(*counters, counter_count);
    record.first_counter = *counters;
    record.counter_count = counter_count;
  }
  if (auto named = name(record, plan); !named) {
    if (known.counter_count != counter_count) {
      counter_ids_.retire(record.first_counter, counter_count);
    }
    return named.error();
  }
  return record;
}

Result<void> Publisher::name(Record& record, const core::ServicePortPlan& plan) {
  const ServiceName name{.key = plan.key,
                         .port_name = plan.port_name,
                         .first_counter = record.first_counter,
                         .counter_count = record.counter_count};
  const auto rows = name_rows_for(name);
  if (record.name_rows < rows) {
    const auto id = allocate(service_ids_, rows);
    if (!id) return map_full("service_names");
    if (record.id != 0) {  // a port that got a much longer name
      if (auto renumbered = renumber(record.id, *id, plan); !renumbered) return renumbered;
      service_ids_.retire(record.id, record.name_rows);
    }
    record.id = *id;
    record.name_rows = rows;
  }
  write_name(maps_.service_names, record.id, name);
  return {};
}

// Everything that goes by a Service's id goes over to another.
Result<void> Publisher::renumber(std::uint32_t from, std::uint32_t to,
                                 const core::ServicePortPlan& plan) {
  if (auto added = source_ranges_.add(to, plan.source_ranges); !added) {
    service_ids_.retire(to, name_rows_for({.key = plan.key, .port_name = plan.port_name}));
    return added;
  }
  frontends_.renumber_service(from, to);
  if (auto idle = idle_backends_.extract(from)) {
    idle.key() = to;
    idle_backends_.insert(std::move(idle));
  }
  source_ranges_.keep_only(from, {});
  clear_name(maps_.service_names, from);
  return {};
}

Result<void> Publisher::switch_sets(Record& record, const core::ServicePortPlan& plan) {
  using Heads = std::array<std::uint32_t, 3>;
  const Heads current{record.sets.internal, record.sets.external, record.sets.node_external};
  const TrafficPlans wanted{&plan.internal, plan.external ? &*plan.external : nullptr,
                            plan.node_external ? &*plan.node_external : nullptr};
  Heads next{};

  const auto retire_unless_in = [&](const Heads& heads, const Heads& kept) {
    std::set<std::uint32_t> seen(kept.begin(), kept.end());
    for (const auto head : heads) {
      if (seen.insert(head).second) writer_.retire(head);
    }
  };
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i] == nullptr) continue;
    const auto twin = first_equal(wanted, i);
    if (twin < i) {
      next[i] = next[twin];
      continue;
    }
    auto placed = place_set(record, plan, *wanted[i], current[i], near_rows(plan, i > 0));
    if (!placed) {
      retire_unless_in(next, current);
      return placed.error();
    }
    next[i] = *placed;
  }
  record.sets = {.internal = next[0], .external = next[1], .node_external = next[2]};
  for (const auto& frontend : plan.frontends) {
    const auto wanted_row = row_of(frontend, plan.key.protocol, record);
    auto* row = frontends_.find(key_of(wanted_row));
    if (row != nullptr && row->service_id == record.id) (void)frontends_.put(wanted_row);
  }
  retire_unless_in(current, next);
  return {};
}

// By the first frontend that leads to this kind of traffic: a Service has few.
NearRows Publisher::near_rows(const core::ServicePortPlan& plan, bool is_external) const {
  if (plan.frontends.empty()) return {};
  auto frontend = std::ranges::find_if(plan.frontends, [&](const auto& one) {
    return (one.kind != core::FrontendKind::ClusterIP) == is_external;
  });
  if (frontend == plan.frontends.end()) frontend = plan.frontends.begin();
  const auto dialled = to_wire(*frontend, plan.key.protocol);
  return {.set = frontends_.near_row(dialled, maps_.sets.capacity()),
          .backend = frontends_.near_row(dialled, maps_.backends.capacity())};
}

Result<std::uint32_t> Publisher::place_set(const Record& record, const core::ServicePortPlan& plan,
                                           const core::TrafficPlan& traffic, std::uint32_t current,
                                           const NearRows& near) {
  const auto place = [&]() -> Result<std::uint32_t> {
    auto prepared = writer_.prepare(traffic, plan, record.first_counter, near);
    if (!prepared) return prepared.error();
    if (writer_.holds(current, *prepared)) {
      writer_.drop(*prepared);
      return current;
    }
    auto written = writer_.write(*prepared);
    if (!written) writer_.drop(*prepared);
    return written;
  };
  auto placed = place();
  if (!placed && writer_.has_retired()) {
    reclaim();
    placed = place();
  }
  return placed;
}

Result<void> Publisher::add_frontend(const core::AddFrontend& operation) {
  const auto record = records_.find(operation.service);
  if (record == records_.end()) {
    // Who served it before is about to go, or has another frontend now.
    if (auto* row = frontends_.find(to_wire(operation.frontend, operation.service.protocol))) {
      frontends_.retire(*row);
      count_node_port(operation.frontend, -1);
      write_node_ports();
    }
    return map_full("services");
  }
  const auto wanted = row_of(operation.frontend, operation.service.protocol, record->second);
  const bool is_new = frontends_.find(key_of(wanted)) == nullptr;
  const bool has_room = frontends_.in_use() < frontends_.capacity();
  if (is_new && (!has_room || !frontends_.put(wanted))) return map_full("frontends");
  if (is_new) {
    count_node_port(operation.frontend, +1);
    write_node_ports();
  } else {
    (void)frontends_.put(wanted);  // never fails: it has its row
  }
  return {};
}

void Publisher::count_node_port(const core::Frontend& frontend, int change) {
  if (frontend.kind != core::FrontendKind::NodePort) return;
  auto& count = node_ports_[frontend.port];
  count += static_cast<std::uint32_t>(change);
  if (count == 0) node_ports_.erase(frontend.port);
}

void Publisher::write_node_ports() {
  topolb_settings& settings = maps_.settings[0];
  settings.node_port_min = node_ports_.empty() ? 1 : node_ports_.begin()->first;
  settings.node_port_max = node_ports_.empty() ? 0 : node_ports_.rbegin()->first;
}

void Publisher::retry_failed() {
  if (unpublished_.empty() && unadded_.empty()) return;
  auto services = std::exchange(unpublished_, {});
  for (const auto& [key, failed] : services) apply(core::PublishService{failed.first});
  auto frontends = std::exchange(unadded_, {});
  for (const auto& [key, error] : frontends) apply(core::AddFrontend{key.first, key.second});
}

bool Publisher::has_retired() const {
  return frontends_.has_retired() || writer_.has_retired() || !service_ids_.retired().empty() ||
         !counter_ids_.retired().empty();
}

void Publisher::reclaim() {
  wait_for_running_programs();
  writer_.reclaim();
  service_ids_.reclaim();
  counter_ids_.reclaim();
  frontends_.reclaim();
}

std::optional<std::uint32_t> Publisher::allocate(RunAllocator& allocator, std::uint32_t length) {
  auto first = allocator.allocate(length);
  if (!first && !allocator.retired().empty()) {
    reclaim();
    first = allocator.allocate(length);
  }
  return first;
}

void Publisher::mark_published(std::uint64_t now_ns) {
  topolb_settings& settings = maps_.settings[0];
  settings.published_ns = now_ns;
  ++settings.publications;
}

void Publisher::mark_heard(std::uint64_t heard_ns) { maps_.settings[0].heard_ns = heard_ns; }

}  // namespace topolb::dataplane
