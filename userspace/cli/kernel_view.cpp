// SPDX-License-Identifier: Apache-2.0
#include "cli/kernel_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "cli/plan_view.h"

namespace topolb::cli {
namespace {

using dataplane::KernelMaps;
using dataplane::KernelService;
using dataplane::KernelSet;

TrafficView view_of(const KernelSet& set, const KernelMaps& maps) {
  TrafficView view{.verdict = set.verdict, .set_ids = set.set_ids, .tiers = {}};
  for (const auto& tier : set.tiers) {
    TierView& shown = view.tiers.emplace_back();
    shown.key = tier.key;
    shown.terminating = tier.terminating;
    for (const auto id : tier.backend_ids) {
      if (id >= maps.backends.capacity()) continue;
      const auto& row = maps.backends[id];
      shown.backends.push_back({.id = id,
                                .address = dataplane::from_wire(row),
                                .usable = row.state == TOPOLB_BACKEND_USABLE});
    }
  }
  // As the kernel does: when no tier has a usable backend, forward becomes reject.
  if (view.effective() != nullptr) {
    view.verdict = core::Verdict::Forward;
  } else if (view.verdict == core::Verdict::Forward) {
    view.verdict = core::Verdict::Reject;
  }
  return view;
}

std::optional<TrafficView> view_of(const std::optional<KernelSet>& set, const KernelMaps& maps) {
  if (!set) return std::nullopt;
  return view_of(*set, maps);
}

void name_counters(const KernelSet& set, std::vector<KeyCounter>& by_key) {
  for (const auto& tier : set.tiers) {
    if (tier.counter < TOPOLB_COUNTER_FIRST_KEY) continue;
    const std::size_t position = tier.counter - TOPOLB_COUNTER_FIRST_KEY;
    if (position < by_key.size()) by_key[position].key = tier.key;
  }
}

}  // namespace

const TierView* TrafficView::effective() const {
  const auto found = std::find_if(tiers.begin(), tiers.end(), [](const TierView& tier) {
    return std::any_of(tier.backends.begin(), tier.backends.end(),
                       [](const BackendView& backend) { return backend.usable; });
  });
  return found == tiers.end() ? nullptr : &*found;
}

std::vector<std::string> TrafficView::backends() const {
  std::vector<SocketAddress> usable;
  if (const TierView* tier = effective()) {
    for (const auto& backend : tier->backends) {
      if (backend.usable) usable.push_back(backend.address);
    }
  }
  return backend_texts(usable);
}

std::size_t TrafficView::known_backends() const {
  std::set<std::uint32_t> ids;
  for (const auto& tier : tiers) {
    for (const auto& backend : tier.backends) ids.insert(backend.id);
  }
  return ids.size();
}

const KernelService* KernelSnapshot::service(std::uint32_t id) const {
  const auto found = services.find(id);
  return found == services.end() ? nullptr : found->second;
}

std::optional<KernelSnapshot> read_kernel(const Invocation& call, int& exit_code) {
  const std::string& pin_path = call.options.pin_path;
  auto maps = KernelMaps::open_pinned(pin_path, dataplane::Access::ReadOnly);
  if (!maps) {
    const auto& error = maps.error();
    const bool no_right = error.code == std::errc::permission_denied ||
                          error.code == std::errc::operation_not_permitted;
    exit_code = call.fail(
        kExitUsage, no_right
                        ? fmt::format("no right to read the maps at {}: run it as root", pin_path)
                        : error.message());
    return std::nullopt;
  }
  KernelSnapshot snapshot;
  snapshot.maps = std::move(*maps);
  snapshot.state = dataplane::read_kernel_state(snapshot.maps);
  for (const auto& service : snapshot.state.services) snapshot.services[service.id] = &service;
  return snapshot;
}

ServiceView view_of(const KernelService& service, const KernelMaps& maps) {
  ServiceView view{.id = service.id,
                   .key = service.key,
                   .port_name = service.port_name,
                   .frontends = service.frontends,
                   .affinity_timeout_s = service.internal.affinity_timeout_s,
                   .internal = view_of(service.internal, maps),
                   .external = view_of(service.external, maps),
                   .node_external = view_of(service.node_external, maps),
                   .by_key = {}};
  const auto counters = maps.counters.read(service.first_counter, service.counter_count);
  if (counters.size() < TOPOLB_COUNTER_FIRST_KEY) return view;
  view.refused = counters[TOPOLB_COUNTER_REFUSED];
  view.without_key = counters[TOPOLB_COUNTER_WITHOUT_KEY];
  for (std::size_t i = TOPOLB_COUNTER_FIRST_KEY; i < counters.size(); ++i) {
    view.by_key.push_back({.key = "", .connections = counters[i]});
  }
  name_counters(service.internal, view.by_key);
  if (service.external) name_counters(*service.external, view.by_key);
  if (service.node_external) name_counters(*service.node_external, view.by_key);
  return view;
}

std::string node_name_of(const topolb_settings& settings) {
  return {settings.node_name, ::strnlen(settings.node_name, sizeof(settings.node_name))};
}

std::string service_port_text(const core::ServicePortKey& key) {
  return fmt::format("{}/{} {}{}", key.service.namespace_name, key.service.name,
                     port_text(key.port, key.protocol), key.family == Family::IPv6 ? " v6" : "");
}

Json service_port_json(const KernelService* service) {
  if (service == nullptr) return {};
  return service_port_json(service->key, service->port_name);
}

}  // namespace topolb::cli
