// SPDX-License-Identifier: Apache-2.0
#include "kube/known_objects.h"

#include <algorithm>

#include "kube/watch_event.h"

namespace topolb::kube {
namespace {

bool is_unreadable(const DecodedObject& object) {
  return std::ranges::any_of(object.problems, [](const core::Problem& problem) {
    return problem.reason == "UnsupportedVersion";
  });
}

}  // namespace

std::vector<Change> KnownObjects::replace(std::vector<DecodedObject> list) {
  std::vector<Change> changes;
  std::map<ObjectId, Entry> listed;
  for (DecodedObject& object : list) {
    const auto known = entries_.find(object.id);
    const bool is_known = known != entries_.end() && !known->second.removed;
    if (is_unreadable(object)) {
      if (is_known) listed[object.id] = known->second;
      changes.emplace_back(Keep{object.id, std::move(object.problems)});
      continue;
    }
    listed[object.id] = {object.resource_version, false};
    const bool same = is_known && !object.resource_version.empty() &&
                      known->second.resource_version == object.resource_version;
    if (!same) changes.emplace_back(Put{std::move(object)});
  }
  for (const auto& [id, entry] : entries_) {
    if (!entry.removed && !listed.contains(id)) changes.emplace_back(Remove{id});
  }
  entries_ = std::move(listed);
  bookmark_.clear();
  return changes;
}

bool KnownObjects::is_stale(const ObjectId& id, const std::string& resource_version) const {
  if (is_older(resource_version, bookmark_) ||
      (resource_version == bookmark_ && version_number(bookmark_))) {
    return true;
  }
  const auto known = entries_.find(id);
  return known != entries_.end() && is_older(resource_version, known->second.resource_version);
}

std::optional<Change> KnownObjects::put(DecodedObject object) {
  if (is_stale(object.id, object.resource_version)) return std::nullopt;
  if (is_unreadable(object)) return Keep{object.id, std::move(object.problems)};
  entries_[object.id] = {object.resource_version, false};
  return Put{std::move(object)};
}

std::optional<Change> KnownObjects::remove(const ObjectId& id,
                                           const std::string& resource_version) {
  const auto known = entries_.find(id);
  if (known == entries_.end() || known->second.removed || is_stale(id, resource_version)) {
    return std::nullopt;
  }
  known->second = {resource_version, true};
  return Remove{id};
}

void KnownObjects::bookmark(const std::string& resource_version) {
  if (is_older(resource_version, bookmark_)) return;
  bookmark_ = resource_version;
  std::erase_if(entries_, [](const auto& entry) { return entry.second.removed; });
}

std::size_t KnownObjects::size() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(entries_, [](const auto& entry) { return !entry.second.removed; }));
}

}  // namespace topolb::kube
