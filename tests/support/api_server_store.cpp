// SPDX-License-Identifier: Apache-2.0
#include "api_server_store.h"

#include <fmt/format.h>

#include <sstream>

namespace topolb::test {
namespace {

std::string text_at(const web::json::value& object, const std::string& field) {
  return object.is_object() && object.has_string_field(field) ? object.at(field).as_string() : "";
}

bool label_matches(const web::json::value& labels, const std::string& requirement) {
  const bool negated = requirement.starts_with('!');
  const auto equals = requirement.find('=');
  if (equals != std::string::npos) {
    return text_at(labels, requirement.substr(0, equals)) == requirement.substr(equals + 1);
  }
  const std::string key = requirement.substr(negated ? 1 : 0);
  return (labels.is_object() && labels.has_field(key)) != negated;
}

}  // namespace

bool Selector::matches(const web::json::value& object) const {
  const web::json::value& metadata = object.at("metadata");
  if (!name_space.empty() && name_space != text_at(metadata, "namespace")) return false;
  const web::json::value unlabelled;
  const web::json::value& label_map =
      metadata.has_field("labels") ? metadata.at("labels") : unlabelled;
  std::istringstream requirements(labels);
  for (std::string requirement; std::getline(requirements, requirement, ',');) {
    if (!label_matches(label_map, requirement)) return false;
  }
  static const std::string by_name = "metadata.name=";
  static const std::string by_other_name = "metadata.name!=";
  const std::string name = text_at(metadata, "name");
  if (fields.starts_with(by_other_name)) return fields.substr(by_other_name.size()) != name;
  return !fields.starts_with(by_name) || fields.substr(by_name.size()) == name;
}

void ApiServerStore::record(StoredEvent event) {
  events_.push_back(std::move(event));
  changed_.notify_all();
}

const web::json::value& ApiServerStore::store(const std::string& kind, const Key& key,
                                              web::json::value object) {
  object["metadata"]["resourceVersion"] = web::json::value(std::to_string(++version_));
  const auto [stored, is_new] = objects_[kind].try_emplace(key);
  const std::string uid =
      is_new ? fmt::format("uid-{}", version_) : text_at(stored->second.at("metadata"), "uid");
  object["metadata"]["uid"] = web::json::value(uid);
  record({version_, kind, is_new ? "ADDED" : "MODIFIED", object, stored->second});
  stored->second = std::move(object);
  return stored->second;
}

std::uint64_t ApiServerStore::put(web::json::value object) {
  const std::lock_guard lock(mutex_);
  const std::string kind = object.at("kind").as_string();
  const web::json::value& metadata = object.at("metadata");
  const Key key{text_at(metadata, "namespace"), text_at(metadata, "name")};
  store(kind, key, std::move(object));
  return version_;
}

std::optional<web::json::value> ApiServerStore::change(const std::string& kind,
                                                       const std::string& name_space,
                                                       const std::string& name,
                                                       const Change& change) {
  const std::lock_guard lock(mutex_);
  const auto stored = objects_[kind].find({name_space, name});
  auto next = change(stored != objects_[kind].end() ? stored->second : web::json::value());
  if (!next) return std::nullopt;
  return store(kind, {name_space, name}, std::move(*next));
}

std::optional<web::json::value> ApiServerStore::get(const std::string& kind,
                                                    const std::string& name_space,
                                                    const std::string& name) const {
  const std::lock_guard lock(mutex_);
  const auto objects = objects_.find(kind);
  if (objects == objects_.end()) return std::nullopt;
  const auto stored = objects->second.find({name_space, name});
  if (stored == objects->second.end()) return std::nullopt;
  return stored->second;
}

std::uint64_t ApiServerStore::remove(const std::string& kind, const std::string& name_space,
                                     const std::string& name) {
  const std::lock_guard lock(mutex_);
  const auto stored = objects_[kind].find({name_space, name});
  if (stored == objects_[kind].end()) return version_;
  web::json::value object = stored->second;
  object["metadata"]["resourceVersion"] = web::json::value(std::to_string(++version_));
  record({version_, kind, "DELETED", std::move(object), stored->second});
  objects_[kind].erase(stored);
  return version_;
}

void ApiServerStore::compact() {
  const std::lock_guard lock(mutex_);
  compacted_ = version_;
  events_.clear();
}

void ApiServerStore::reset() {
  const std::lock_guard lock(mutex_);
  version_ = 1;
  compacted_ = 0;
  objects_.clear();
  events_.clear();
}

ApiServerStore::Snapshot ApiServerStore::list(const std::string& kind,
                                              const Selector& selector) const {
  const std::lock_guard lock(mutex_);
  Snapshot snapshot{version_, {}};
  const auto objects = objects_.find(kind);
  if (objects == objects_.end()) return snapshot;
  for (const auto& [key, object] : objects->second) {
    if (selector.matches(object)) snapshot.objects.push_back(object);
  }
  return snapshot;
}

ApiServerStore::Events ApiServerStore::events_after(const std::string& kind, std::uint64_t version,
                                                    std::chrono::milliseconds wait) {
  std::unique_lock lock(mutex_);
  const auto newer = [&] {
    Events found{version < compacted_, version_, {}};
    for (const StoredEvent& event : events_) {
      if (event.kind == kind && event.version > version) found.events.push_back(event);
    }
    return found;
  };
  Events found = newer();
  if (!found.compacted && found.events.empty()) {
    changed_.wait_for(lock, wait);
    found = newer();
  }
  return found;
}

std::uint64_t ApiServerStore::version() const {
  const std::lock_guard lock(mutex_);
  return version_;
}

void ApiServerStore::wake() { changed_.notify_all(); }

}  // namespace topolb::test
