// SPDX-License-Identifier: Apache-2.0
// The objects, and what a change of one makes dirty. Planning is in replan.cpp.
#include "core/cluster_state.h"

#include <algorithm>
#include <utility>

#include "core/frontends.h"

namespace topolb::core {
namespace {

bool by_key(const EndpointSlice* a, const EndpointSlice* b) { return a->key < b->key; }

// The labels whose value or presence differs, sorted.
std::vector<std::string_view> changed_labels(const Labels* before, const Labels* after) {
  const Labels none;
  const Labels& old_labels = before == nullptr ? none : *before;
  const Labels& new_labels = after == nullptr ? none : *after;
  std::vector<std::string_view> changed;
  for (const auto& [key, value] : old_labels) {
    const auto now = new_labels.find(key);
    if (now == new_labels.end() || now->second != value) changed.push_back(key);
  }
  for (const auto& [key, value] : new_labels) {
    if (!old_labels.contains(key)) changed.push_back(key);
  }
  // endpoint.zone stands for this label while the Node object is unknown.
  if ((before == nullptr) != (after == nullptr)) changed.push_back(kZoneLabel);
  std::sort(changed.begin(), changed.end());
  return changed;
}

bool contains(const std::vector<std::string_view>& sorted, std::string_view key) {
  return std::binary_search(sorted.begin(), sorted.end(), key);
}

bool has_zone_hints(const std::vector<const EndpointSlice*>& slices) {
  return std::any_of(slices.begin(), slices.end(), [](const EndpointSlice* slice) {
    return std::any_of(slice->endpoints.begin(), slice->endpoints.end(),
                       [](const Endpoint& endpoint) { return !endpoint.zone_hints.empty(); });
  });
}

}  // namespace

ClusterState::ClusterState(PlanOptions options) : options_(std::move(options)) {}

bool ClusterState::is_served(const Service& service) const {
  if (options_.scope == Scope::OptedIn && !service.opted_in) return false;
  if (!service.has_service_proxy_name) return true;
  return !options_.service_proxy_name.empty() &&
         service.service_proxy_name == options_.service_proxy_name;
}

bool ClusterState::is_keyed(const ServiceEntry& entry) const {
  return entry.service && !entry.keys.keys.empty() && is_served(*entry.service);
}

ClusterState::NamedEntry& ClusterState::entry_of(const ObjectKeyView& key) {
  const auto found = services_.find(key);
  if (found != services_.end()) return *found;
  return *services_.try_emplace(ObjectKey{std::string(key.namespace_name), std::string(key.name)})
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
  entry.second.keys = topology_keys_of(service);
  entry.second.service = std::move(service);
  change_claims(entry, true);
  mark_dirty(entry);
}

void ClusterState::remove_service(const ObjectKey& key) {
  const auto entry = services_.find(key);
  if (entry == services_.end() || !entry->second.service) return;
  change_claims(*entry, false);
  entry->second.service.reset();
  entry->second.keys = {};
  mark_dirty(*entry);
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

void ClusterState::put(EndpointSlice slice) {
  slice.endpoints.shrink_to_fit();
  const auto known = slices_.find(slice);
  if (known == slices_.end()) {
    attach_slice(*slices_.insert(std::move(slice)).first);
    return;
  }
  if (*known == slice) return;
  detach_slice(*known);
  auto node = slices_.extract(known);
  node.value() = std::move(slice);
  attach_slice(*slices_.insert(std::move(node)).position);
}

void ClusterState::remove_slice(const ObjectKey& key) {
  const auto known = slices_.find(key);
  if (known == slices_.end()) return;
  detach_slice(*known);
  slices_.erase(known);
}

void ClusterState::attach_slice(const EndpointSlice& slice) {
  NamedEntry& entry = entry_of({slice.key.namespace_name, slice.service_name});
  auto& slices = entry.second.slices;
  slices.insert(std::upper_bound(slices.begin(), slices.end(), &slice, by_key), &slice);
  mark_dirty(entry);
}

void ClusterState::detach_slice(const EndpointSlice& slice) {
  NamedEntry& entry = entry_of({slice.key.namespace_name, slice.service_name});
  std::erase(entry.second.slices, &slice);
  mark_dirty(entry);
}

void ClusterState::put(Node node) {
  const auto known = nodes_.find(node.name);
  if (known != nodes_.end() && known->second == node) return;
  node_changed(node.name, known == nodes_.end() ? nullptr : &known->second.labels, &node.labels);
  if (known == nodes_.end()) {
    std::string name = node.name;
    nodes_.emplace(std::move(name), std::move(node));
  } else {
    known->second = std::move(node);
  }
}

void ClusterState::remove_node(const std::string& name) {
  const auto known = nodes_.find(name);
  if (known == nodes_.end()) return;
  node_changed(name, &known->second.labels, nullptr);
  nodes_.erase(known);
}

void ClusterState::node_changed(const std::string& name, const Labels* before,
                                const Labels* after) {
  const auto changed = changed_labels(before, after);
  if (changed.empty()) return;
  const auto uses_changed_key = [&](const ServiceEntry& entry) {
    return std::any_of(entry.keys.keys.begin(), entry.keys.keys.end(),
                       [&](const std::string& key) { return contains(changed, key); });
  };
  if (name == options_.node_name) {
    const bool zone_changed = contains(changed, kZoneLabel);
    for (NamedEntry& entry : services_) {
      const bool affected = is_keyed(entry.second)
                                ? uses_changed_key(entry.second)
                                : zone_changed && has_zone_hints(entry.second.slices);
      if (affected) mark_dirty(entry);
    }
    return;
  }
  const auto keyed = keyed_by_backend_node_.find(name);
  if (keyed == keyed_by_backend_node_.end()) return;
  for (NamedEntry* entry : keyed->second) {
    if (uses_changed_key(entry->second)) mark_dirty(*entry);
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

const Node* ClusterState::find_node(const std::string& name) const {
  const auto node = nodes_.find(name);
  return node == nodes_.end() ? nullptr : &node->second;
}

std::vector<const Node*> ClusterState::nodes() const {
  std::vector<const Node*> nodes;
  nodes.reserve(nodes_.size());
  for (const auto& [name, node] : nodes_) nodes.push_back(&node);
  std::sort(nodes.begin(), nodes.end(),
            [](const Node* a, const Node* b) { return a->name < b->name; });
  return nodes;
}

std::vector<const EndpointSlice*> ClusterState::slices_of(const ObjectKey& service) const {
  const auto entry = services_.find(service);
  if (entry == services_.end()) return {};
  return entry->second.slices;
}

NodeView ClusterState::node_view() const {
  return {options_.node_name, [this](const std::string& name) -> const Labels* {
            const Node* node = find_node(name);
            return node == nullptr ? nullptr : &node->labels;
          }};
}

}  // namespace topolb::core
