// SPDX-License-Identifier: Apache-2.0
#include "kube/cluster_source.h"

#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <random>
#include <utility>

#include "kube/resource.h"

namespace topolb::kube {
namespace {

std::function<double()> random_source() {
  return [engine = std::mt19937(std::random_device{}()),
          distribution = std::uniform_real_distribution<double>(0, 1)]() mutable {
    return distribution(engine);
  };
}

}  // namespace

Result<std::unique_ptr<ClusterSource>> ClusterSource::start(std::shared_ptr<Api> api,
                                                            const ClusterSourceOptions& options) {
  UniqueFd event(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event) return errno_error(errno, "create an eventfd for the cluster's changes");
  return std::unique_ptr<ClusterSource>(
      new ClusterSource(std::move(api), options, std::move(event)));
}

ClusterSource::ClusterSource(std::shared_ptr<Api> api, const ClusterSourceOptions& options,
                             UniqueFd event)
    : api_(std::move(api)), node_name_(options.node_name), event_(std::move(event)) {
  other_nodes_ = other_nodes(false);
  ReflectorOptions reflector = options.reflector;
  for (const Kind kind : {Kind::Service, Kind::EndpointSlice}) {
    reflector.kind = kind;
    reflector.label_selector = label_selector_of(kind, options.service_proxy_name);
    follow(reflector);
  }
  reflector.kind = Kind::Node;
  reflector.label_selector = "";
  if (!node_name_.empty()) {
    reflector.field_selector = "metadata.name=" + node_name_;
    follow(reflector);
  }
  reflector.form = Form::Metadata;
  reflector.field_selector = other_nodes_;
  follow(std::move(reflector));
  for (const Follower& follower : followers_) {
    threads_.emplace_back([reflector = follower.reflector.get()](const std::stop_token& stop) {
      reflector->run(stop);
    });
  }
}

ClusterSource::~ClusterSource() {
  // All at once: one after the other would add their ways out up.
  for (std::jthread& thread : threads_) thread.request_stop();
}

std::optional<std::string> ClusterSource::other_nodes(bool wanted) const {
  if (node_name_.empty()) return "";
  return wanted ? std::optional("metadata.name!=" + node_name_) : std::nullopt;
}

void ClusterSource::follow(ReflectorOptions options) {
  const ListId list{options.kind, options.form};
  Reflector::Environment environment{
      *api_, [] { return std::chrono::steady_clock::now(); }, random_source(),
      [this](std::vector<Change> changes) { enqueue(std::move(changes)); }};
  followers_.push_back(
      {list, std::make_unique<Reflector>(std::move(options), std::move(environment))});
}

void ClusterSource::enqueue(std::vector<Change> changes) {
  {
    const std::lock_guard lock(mutex_);
    queue_.push(std::move(changes));
    if (std::exchange(is_readable_, true)) return;
  }
  // After the lock: who wakes up by it wants that at once, and would go to sleep again. It never
  // fails: the count is one or two, far from full.
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written_bytes = write(event_.get(), &one, sizeof one);
}

ClusterChanges ClusterSource::drain() {
  const std::lock_guard lock(mutex_);
  is_readable_ = false;
  std::uint64_t count = 0;
  [[maybe_unused]] const auto read_bytes = read(event_.get(), &count, sizeof count);
  return queue_.take();
}

bool ClusterSource::has_synced() const {
  const std::lock_guard lock(mutex_);
  const auto* others = queue_.taken_list(followers_.back().list);
  return others != nullptr && *others == other_nodes_ &&
         std::ranges::all_of(followers_, [this](const Follower& follower) {
           return queue_.taken_list(follower.list) != nullptr;
         });
}

void ClusterSource::watch_all_nodes(bool all) {
  auto selector = other_nodes(all);
  followers_.back().reflector->set_field_selector(selector);
  const std::lock_guard lock(mutex_);
  other_nodes_ = std::move(selector);
}

std::vector<ListStatus> ClusterSource::status() const {
  std::vector<ListStatus> statuses;
  for (const Follower& follower : followers_) {
    statuses.push_back({follower.list, follower.reflector->status()});
  }
  const std::lock_guard lock(mutex_);
  if (!other_nodes_) statuses.pop_back();
  return statuses;
}

}  // namespace topolb::kube
