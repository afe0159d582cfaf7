// SPDX-License-Identifier: Apache-2.0
#include "dataplane/tc_path.h"

#include <arpa/inet.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "dataplane/grace_period.h"
#include "dataplane/masquerades.h"
#include "dataplane/pins.h"

namespace topolb::dataplane {
namespace {

constexpr std::array kDirections{TcDirection::Ingress, TcDirection::Egress};

// A table grows to so many times its size when it has less room than that for its flows.
constexpr std::uint32_t kGrowth = 4;

std::uint32_t room_wanted_for(std::uint32_t flows) { return flows * kGrowth; }

}  // namespace

TcPath::TcPath(std::string pin_path, TcPrograms programs, FlowTable flows)
    : pin_path_(std::move(pin_path)),
      programs_(std::move(programs)),
      flows_(std::make_unique<FlowTable>(std::move(flows))),
      collector_(std::make_unique<FlowCollector>(*flows_)),
      inherited_(read_tc_hooks(pin_path_)) {}

Result<TcPath> TcPath::load(const std::string& pin_path, Datapath& datapath,
                            const TcOptions& options) {
  if (auto whole = TcPrograms::finish_pins(pin_path); !whole) return whole.error();
  topolb_settings& settings = datapath.maps().settings[0];
  auto pinned = FlowTable::open_pinned(pin_path, Access::ReadOnly, settings);
  auto sizes = options.sizes;
  if (pinned) sizes.flows = std::max(sizes.flows, room_wanted_for(pinned->count()));
  auto programs = TcPrograms::load(
      pin_path, [&](const std::string& name) { return datapath.map(name); }, sizes, options.dsr);
  if (!programs) return programs.error();
  auto flows = programs->flow_table(settings);
  if (!flows) return flows.error();
  const bool is_replaced = pinned && pinned->facts().seed != flows->facts().seed;
  TcPath path(pin_path, std::move(*programs), std::move(*flows));
  path.most_flows_ = options.sizes.most_flows;
  path.dsr_ = options.dsr;
  path.maps_ = &datapath.maps();
  path.settings_ = &settings;
  path.flows_->for_each([&](std::uint32_t, const topolb_flow& flow) { path.add_ports_of(flow); });
  if (is_replaced) path.replaced_ = std::move(*pinned);
  return path;
}

// Of a flow that the agent before left: frontend and backend may be gone, but its packets are still
// to be translated.
void TcPath::add_ports_of(const topolb_flow& flow) {
  topolb_add_port(&settings_->frontend_ports, ntohs(flow.frontend_port_be));
  topolb_add_port(&settings_->backend_ports, ntohs(flow.backend_port_be));
}

bool TcPath::admit(topolb_flow& flow, const BackendIds* ids) {
  if (is_idle_too_long(flow, flow_time_now())) return false;
  if ((flow.state & TOPOLB_FLOW_DIRECT) != 0 && !dsr_) return false;
  add_ports_of(flow);
  if (ids == nullptr) return true;
  const SocketAddress backend{from_wire(flow.backend), ntohs(flow.backend_port_be)};
  const auto id = ids->find({backend, flow.protocol});
  flow.backend_id = id == ids->end() ? 0 : id->second;  // 0: it is gone
  return true;
}

TcPath::BackendIds TcPath::backend_ids() const {
  BackendIds ids;
  const auto& rows = maps_->backends;
  for (std::uint32_t id = 1; id < rows.capacity(); ++id) {
    if (rows[id].state == TOPOLB_BACKEND_FREE) continue;
    ids[{from_wire(rows[id]), rows[id].protocol}] = id;
  }
  return ids;
}

// Of an agent before, with --dsr: programs without it would send their packets to a backend whose
// replies don't come back. Clients open them anew.
void TcPath::drop_direct_flows() {
  flows_->for_each([&](std::uint32_t id, const topolb_flow& flow) {
    if ((flow.state & TOPOLB_FLOW_DIRECT) != 0) (void)flows_->remove(id, flow);
  });
}

void TcPath::collect() {
  const auto now = flow_time_now();
  collector_->tick(now);
  // Short of room: all of it at once.
  for (std::uint32_t more = 1; more < FlowCollector::kSlices; ++more) {
    if (collector_->flows() < flows_->capacity() / 4 * 3) return;
    collector_->tick(now);
  }
}

void TcPath::end_flows_of_lost_addresses(const NodeAddresses& addresses) {
  if (!replaced_) release_lost_masquerades(*settings_, addresses, *flows_);
}

std::optional<std::uint32_t> TcPath::wanted_flows() const {
  const auto room = flows_->capacity();
  const auto wanted = std::min(room_wanted_for(flows_->count()), most_flows_);
  if (room >= wanted) return std::nullopt;
  return std::min(room * kGrowth, most_flows_);
}

MapFill TcPath::flow_fill() const { return {"flows", collector_->flows(), most_flows_}; }

void TcPath::attach_device(const TcDevice& device, bool is_pod, std::vector<Error>& errors) {
  Place place{device, is_pod, TcMethod::Link};
  bool all = true;
  // Replies first: a flow that begins is translated both ways.
  for (const auto direction : {TcDirection::Egress, TcDirection::Ingress}) {
    const int program = direction == TcDirection::Egress ? programs_.egress()
                        : is_pod                         ? programs_.pod_ingress()
                                                         : programs_.ingress();
    const auto method = attach_tc(pin_path_, device, direction, program);
    if (method) {
      place.method = *method;
    } else {
      errors.push_back(method.error());
      all = false;
    }
  }
  if (all) attached_[device.index] = std::move(place);
}

std::vector<Error> TcPath::attach(const TcDeviceRules& rules) {
  const auto wanted = find_tc_devices(rules);
  if (!wanted) return {wanted.error()};  // unknown is not none: what is attached stays
  std::vector<Error> errors;
  if (auto pinned = programs_.pin_workers(); !pinned) return {pinned.error()};
  auto replaced = std::exchange(replaced_, std::nullopt);
  std::optional<BackendIds> ids;
  if (replaced && replaced->facts().maps != flows_->facts().maps) ids = backend_ids();
  std::optional<FlowMove> move;
  if (replaced) {
    // While the programs are switched, one table after the other gets new flows: what is not in the
    // new one yet must not be reset.
    settings_->packet_flags |= TOPOLB_PACKETS_HOLD_UNKNOWN_FLOWS;
    move.emplace(*replaced, *flows_,
                 [&](topolb_flow& flow) { return admit(flow, ids ? &*ids : nullptr); });
    move->begin();
  }
  std::map<std::uint32_t, bool> is_pod;
  for (const auto& device : wanted->external) is_pod[device.index] = false;
  for (const auto& device : wanted->pods) is_pod[device.index] = true;
  for (const auto* devices : {&wanted->external, &wanted->pods}) {
    for (const auto& device : *devices) {
      const auto at = attached_.find(device.index);
      if (at != attached_.end() && at->second.is_pod == is_pod[device.index]) continue;
      attach_device(device, is_pod[device.index], errors);
    }
  }
  if (!inherited_.empty() && !dsr_) drop_direct_flows();
  if (move) {
    wait_for_running_programs();  // the ones before
    move->finish();
    collector_ = std::make_unique<FlowCollector>(*flows_);  // counts them
    settings_->packet_flags &= ~std::uint32_t{TOPOLB_PACKETS_HOLD_UNKNOWN_FLOWS};
  }
  if (auto pinned = programs_.pin_maps(); !pinned) errors.push_back(pinned.error());

  std::map<std::uint32_t, TcDevice> unwanted;
  for (const auto& hook : std::exchange(inherited_, {})) {
    unwanted.emplace(hook.device.index, hook.device);
  }
  for (const auto& [index, place] : attached_) unwanted.emplace(index, place.device);
  for (const auto& [index, device] : unwanted) {
    if (is_pod.contains(index)) continue;
    attached_.erase(index);
    for (const auto direction : kDirections) {
      if (auto off = detach_tc(pin_path_, device, direction); !off) errors.push_back(off.error());
    }
  }
  drop_dead_tc_links(pin_path_);
  if (errors.empty()) programs_.drop_workers_before();
  return errors;
}

std::vector<std::uint32_t> TcPath::external_devices() const {
  std::vector<std::uint32_t> devices;
  for (const auto& [index, place] : attached_) {
    if (!place.is_pod) devices.push_back(index);
  }
  return devices;
}

std::vector<Error> TcPath::repair() {
  std::map<std::uint32_t, std::size_t> found;
  for (const auto& hook : read_tc_hooks(pin_path_)) ++found[hook.device.index];
  std::vector<Place> damaged;
  for (const auto& [index, place] : attached_) {
    if (found[index] != kDirections.size()) damaged.push_back(place);
  }
  std::vector<Error> errors;
  if (auto pinned = programs_.pin_workers(); !pinned) errors.push_back(pinned.error());
  for (const auto& place : damaged) {
    attached_.erase(place.device.index);
    attach_device(place.device, place.is_pod, errors);
  }
  return errors;
}

Result<void> remove_tc_path(const std::string& pin_path) {
  for (const auto& hook : read_tc_hooks(pin_path)) {
    if (auto off = detach_tc(pin_path, hook.device, hook.direction); !off) return off;
  }
  drop_dead_tc_links(pin_path);
  TcPrograms::drop_workers(pin_path, 0);
  for (const auto& name : TcPrograms::own_map_names()) {
    const std::string path = pin_of_map(pin_path, name);
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return errno_error(errno, "unpin " + path);
  }
  return {};
}

}  // namespace topolb::dataplane
