// SPDX-License-Identifier: Apache-2.0
#include "kube/known_objects.h"

#include <algorithm>
#include <functional>

#include "kube/watch_event.h"

namespace topolb::kube {
namespace {

bool is_unreadable(const DecodedObject& object) {
  return std::ranges::any_of(object.problems, [](const core::Problem& problem) {
    return problem.reason == "UnsupportedVersion";
  });
}

// No name has a slash in it.
std::string name_of(const ObjectId& id) { return id.key.namespace_name + '/' + id.key.name; }

}  // namespace

ObjectVersion::ObjectVersion(const std::string& text) {
  if (text.empty()) return;
  const auto number = version_number(text);
  kind_ = number ? Kind::Number : Kind::Text;
  value_ = number.value_or(std::hash<std::string>{}(text));
}

KnownObjects::Entry* KnownObjects::find(const ObjectId& id) {
  const auto found = entries_.find(name_of(id));
  return found == entries_.end() || found->second.removed ? nullptr : &found->second;
}

ObjectId KnownObjects::id_of(const std::string& name) const {
  const auto slash = name.find('/');
  return {kind_, {name.substr(0, slash), name.substr(slash + 1)}};
}

void KnownObjects::begin_list() {
  for (auto& [name, entry] : entries_) entry.listed = false;
}

bool KnownObjects::is_change(const DecodedObject& object) {
  Entry* known = find(object.id);
  if (known == nullptr) return true;
  known->listed = true;
  const ObjectVersion version(object.resource_version);
  return version.empty() || version != known->version || is_unreadable(object);
}

Change KnownObjects::put_listed(DecodedObject object) {
  if (is_unreadable(object)) return Keep{object.id, std::move(object.problems)};
  entries_[name_of(object.id)] = {ObjectVersion(object.resource_version), false, true};
  return Put{std::move(object)};
}

std::vector<Change> KnownObjects::end_list() {
  std::vector<ObjectId> gone;
  std::erase_if(entries_, [&](const auto& named) {
    const auto& [name, entry] = named;
    if (!entry.removed && !entry.listed) gone.push_back(id_of(name));
    return entry.removed || !entry.listed;
  });
  std::ranges::sort(gone);
  bookmark_ = {};
  std::vector<Change> changes;
  changes.reserve(gone.size());
  for (ObjectId& id : gone) changes.emplace_back(Remove{std::move(id)});
  return changes;
}

bool KnownObjects::is_stale(const ObjectId& id, const ObjectVersion& version) const {
  if (version.is_older_than(bookmark_) || (version.is_number() && version == bookmark_)) {
    return true;
  }
  const auto known = entries_.find(name_of(id));
  return known != entries_.end() && version.is_older_than(known->second.version);
}

std::optional<Change> KnownObjects::put(DecodedObject object) {
  const ObjectVersion version(object.resource_version);
  if (is_stale(object.id, version)) return std::nullopt;
  if (is_unreadable(object)) return Keep{object.id, std::move(object.problems)};
  entries_[name_of(object.id)] = {version, false, false};
  return Put{std::move(object)};
}

std::optional<Change> KnownObjects::remove(const ObjectId& id,
                                           const std::string& resource_version) {
  Entry* known = find(id);
  const ObjectVersion version(resource_version);
  if (known == nullptr || is_stale(id, version)) return std::nullopt;
  *known = {version, true, false};
  return Remove{id};
}

void KnownObjects::bookmark(const std::string& resource_version) {
  const ObjectVersion version(resource_version);
  if (version.is_older_than(bookmark_)) return;
  bookmark_ = version;
  std::erase_if(entries_, [](const auto& entry) { return entry.second.removed; });
}

std::size_t KnownObjects::size() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(entries_, [](const auto& entry) { return !entry.second.removed; }));
}

}  // namespace topolb::kube
