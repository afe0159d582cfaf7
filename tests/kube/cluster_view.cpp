// SPDX-License-Identifier: Apache-2.0
#include "cluster_view.h"

#include <fmt/format.h>
#include <poll.h>

namespace topolb::kube {

std::string name_of(const ObjectId& id) {
  return fmt::format("{}/{}/{}", to_string(id.kind), id.key.namespace_name, id.key.name);
}

ClusterSourceOptions ClusterView::fast_options() {
  ClusterSourceOptions options;
  options.node_name = "n1";
  options.reflector.page_limit = 2;
  options.reflector.list_deadlines = {.connect = 1s, .response = 1s, .idle = 1s};
  options.reflector.watch_deadlines = {.connect = 1s, .response = 1s, .idle = 60s};
  return options;
}

ClusterView::ClusterView(std::shared_ptr<Api> api, ClusterSourceOptions options) {
  source = *ClusterSource::start(std::move(api), options);
}

void ClusterView::apply() {
  ClusterChanges changes = source->drain();
  puts += changes.put.size();
  for (DecodedObject& object : changes.put) {
    objects_.insert_or_assign(name_of(object.id), std::move(object));
  }
  for (const ObjectId& id : changes.removed) {
    objects_.erase(name_of(id));
    removed.insert(name_of(id));
  }
}

bool ClusterView::wait(const std::function<bool()>& done, std::chrono::milliseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (true) {
    apply();
    if (done()) return true;
    if (std::chrono::steady_clock::now() >= deadline) return false;
    pollfd readable{source->fd(), POLLIN, 0};
    poll(&readable, 1, 5);
  }
}

bool ClusterView::wait_objects(const std::set<std::string>& names_wanted) {
  return wait([&] { return names() == names_wanted; });
}

bool ClusterView::removes_nothing(std::chrono::milliseconds time) {
  const auto before = removed;
  return !wait([&] { return removed != before; }, time);
}

std::set<std::string> ClusterView::names() const {
  std::set<std::string> all;
  for (const auto& [name, object] : objects_) all.insert(name);
  return all;
}

const DecodedObject* ClusterView::find(const std::string& name) const {
  const auto found = objects_.find(name);
  return found != objects_.end() ? &found->second : nullptr;
}

std::string ClusterView::errors() const {
  std::string errors;
  for (const ListStatus& list : source->status()) errors += list.status.error + "\n";
  return errors;
}

}  // namespace topolb::kube
