// SPDX-License-Identifier: Apache-2.0
// The objects, and what a change of one makes dirty. Planning is in replan.cpp.
#include "core/cluster_state.h"

#include <algorithm>
#include <utility>

#include "core/frontends.h"
#include "core/name_list.h"

namespace topolb::core {
namespace {

bool uses_any(const TopologyKeys& keys, const std::vector<std::string>& labels) {
  return std::any_of(keys.keys.begin(), keys.keys.end(),
                     [&](const std::string& key) { return has_name(labels, key); });
}

}  // namespace

ClusterState::ClusterState(PlanOptions options)
    : options_(std::move(options)),
      pools_(std::make_unique<Pools>()),
      no_endpoints_(*pools_),
      nodes_(*pools_) {}

bool ClusterState::is_served(const Service& service) const {
  if (options_.scope == Scope::OptedIn && !service.opted_in) return false;
  if (!service.has_service_proxy_name) return true;
  return !options_.service_proxy_name.empty() &&
         service.service_proxy_name == options_.service_proxy_name;
}

const TopologyKeys& ClusterState::keys_of(const ServiceEntry& entry) const {
  return pools_->topology_keys[entry.keys];
}

bool ClusterState::is_keyed(const ServiceEntry& entry) const {
  return entry.service && !keys_of(entry).keys.empty() && is_served(*entry.service);
}

ClusterState::NamedEntry& ClusterState::entry_of(const ObjectKeyView& key) {
  const auto found = services_.find(key);
  if (found != services_.end()) return *found;
  return *services_.try_emplace({std::string(key.namespace_name), std::string(key.name)}, *pools_)
              .first;
}

void ClusterState::mark_dirty(NamedEntry& entry) {
  if (std::exchange(entry.second.dirty, true)) return;
  dirty_.push_back(&entry);
}

void ClusterState::put(Service service) {
  NamedEntry& entry = entry_of(service.key);
  if (entry.second.service == service) return;
  change_claims(entry, false);
  take_service(entry.second, std::move(service));
  change_claims(entry, true);
  mark_dirty(entry);
}

void ClusterState::remove_service(const ObjectKey& key) {
  const auto entry = services_.find(key);
  if (entry == services_.end() || !entry->second.service) return;
  change_claims(*entry, false);
  take_service(entry->second, std::nullopt);
  mark_dirty(*entry);
}

void ClusterState::take_service(ServiceEntry& entry, std::optional<Service> service) {
  if (entry.service) pools_->topology_keys.release(entry.keys);
  entry.service = std::move(service);
  if (entry.service) entry.keys = pools_->topology_keys.acquire(topology_keys_of(*entry.service));
}

// Claims or releases the frontends of the entry's Service. Where that changes who gets one, all
// who ask for it are affected: their problems name the one who has it.
void ClusterState::change_claims(const NamedEntry& entry, bool claim) {
  if (!entry.second.service || !is_served(*entry.second.service)) return;
  for (const auto& [port, family] : service_ports_of(*entry.second.service)) {
    const Claimant claimant{&entry.first, port->number};
    for (const Frontend& frontend : frontends_of(*entry.second.service, *port, family)) {
      const FrontendAddress address{{frontend.address, frontend.port}, port->protocol};
      if (claim) claims_.add(address, claimant);
      if (claims_.winner(address) == claimant) {
        for (const Claimant& affected : claims_.claimants(address)) {
          mark_dirty(*services_.find(*affected.service));
        }
      }
      if (!claim) claims_.release(address, claimant);
    }
  }
}

void ClusterState::put(const EndpointSlice& slice) {
  NamedEntry& entry = entry_of({slice.key.namespace_name, slice.service_name});
  if (const auto known = slices_.find(ObjectKeyView(slice.key)); known != slices_.end()) {
    if (known->entry == &entry) {
      if (entry.second.endpoints.update(known->number, slice)) mark_dirty(entry);
      return;
    }
    remove(known);  // it was another Service's
  }
  slices_.insert({&entry, entry.second.endpoints.add(slice)});
  mark_dirty(entry);
}

void ClusterState::remove_slice(const ObjectKey& key) {
  const auto known = slices_.find(ObjectKeyView(key));
  if (known != slices_.end()) remove(known);
}

void ClusterState::remove(Slices::iterator slice) {
  const SliceRef removed = *slice;
  slices_.erase(slice);  // first: it is found by its name
  removed.entry->second.endpoints.remove(removed.number);
  mark_dirty(*removed.entry);
}

void ClusterState::put(const Node& node) { node_changed(node.name, nodes_.put(node)); }

void ClusterState::remove_node(const std::string& name) { node_changed(name, nodes_.remove(name)); }

void ClusterState::node_changed(const std::string& name, std::vector<std::string> labels) {
  if (labels.empty()) return;
  if (name == options_.node_name) {
    own_node_changed(labels);
  } else {
    auto& known = changed_nodes_[name];
    known.insert(known.end(), labels.begin(), labels.end());
  }
}

void ClusterState::own_node_changed(const std::vector<std::string>& labels) {
  facts_.forget_masks();
  const bool zone_changed = has_name(labels, kZoneLabel);
  const auto has_zone_hints = [&](PoolId placement) {
    return !pools_->placements[placement].zone_hints.empty();
  };
  for (NamedEntry& entry : services_) {
    const bool affected =
        is_keyed(entry.second)
            ? uses_any(keys_of(entry.second), labels)
            : zone_changed && entry.second.endpoints.any_placement(has_zone_hints);
    if (affected) mark_dirty(entry);
  }
}

// Looks at every endpoint, once for all Nodes that changed: an index of who has a backend where
// would take more memory than the endpoints.
void ClusterState::mark_those_on_changed_nodes() {
  const auto changed = std::exchange(changed_nodes_, {});
  std::vector<const std::vector<std::string>*> changed_at(pools_->placements.limit(), nullptr);
  bool any = false;
  for (PoolId id = 0; id < changed_at.size(); ++id) {
    const auto found = changed.find(pools_->placements[id].node_name);
    if (found == changed.end()) continue;
    changed_at[id] = &found->second;
    facts_.forget_masks_at(id);
    any = true;
  }
  if (!any) return;
  for (NamedEntry& entry : services_) {
    if (entry.second.dirty || !is_keyed(entry.second)) continue;
    const TopologyKeys& keys = keys_of(entry.second);
    if (entry.second.endpoints.any_placement([&](PoolId placement) {
          return changed_at[placement] != nullptr && uses_any(keys, *changed_at[placement]);
        })) {
      mark_dirty(entry);
    }
  }
}

std::vector<const ClusterState::NamedEntry*> ClusterState::sorted_entries() const {
  std::vector<const NamedEntry*> entries;
  entries.reserve(services_.size());
  for (const NamedEntry& entry : services_) entries.push_back(&entry);
  std::sort(entries.begin(), entries.end(),
            [](const NamedEntry* a, const NamedEntry* b) { return a->first < b->first; });
  return entries;
}

std::vector<ServicePortPlan> ClusterState::plan() const {
  std::vector<ServicePortPlan> plans;
  for (const SharedPlan& plan : shared_plan()) plans.push_back(*plan);
  return plans;
}

std::vector<SharedPlan> ClusterState::shared_plan() const {
  std::vector<SharedPlan> plans;
  plans.reserve(plan_size_);
  for (const NamedEntry* entry : sorted_entries()) {
    plans.insert(plans.end(), entry->second.plans.begin(), entry->second.plans.end());
  }
  return plans;
}

std::vector<Problem> ClusterState::problems() const {
  std::vector<Problem> problems;
  for (const NamedEntry* entry : troubled_) {
    const auto& own = entry->second.problems;
    problems.insert(problems.end(), own.begin(), own.end());
  }
  std::sort(problems.begin(), problems.end());
  return problems;
}

const Service* ClusterState::find_service(const ObjectKey& key) const {
  const auto entry = services_.find(key);
  if (entry == services_.end() || !entry->second.service) return nullptr;
  return &*entry->second.service;
}

const ServiceEndpoints& ClusterState::endpoints_of(const ObjectKey& service) const {
  const auto entry = services_.find(service);
  return entry == services_.end() ? no_endpoints_ : entry->second.endpoints;
}

NodeView ClusterState::node_view() const {
  return {options_.node_name, [this](const std::string& name) { return nodes_.contains(name); },
          [this](const std::string& name, std::string_view key) {
            return nodes_.label(name, std::string(key));
          }};
}

}  // namespace topolb::core
