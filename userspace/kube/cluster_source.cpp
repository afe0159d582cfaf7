// SPDX-License-Identifier: Apache-2.0
#include "kube/cluster_source.h"

#include <sys/eventfd.h>

#include <cerrno>
#include <cstdint>
#include <random>

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
  node_selector_ = own_node_selector();
  for (const Kind kind : {Kind::Service, Kind::EndpointSlice, Kind::Node}) {
    ReflectorOptions reflector = options.reflector;
    reflector.kind = kind;
    reflector.label_selector = label_selector_of(kind, options.service_proxy_name);
    if (kind == Kind::Node) reflector.field_selector = node_selector_;
    follow(std::move(reflector));
  }
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

std::string ClusterSource::own_node_selector() const {
  return node_name_.empty() ? "" : "metadata.name=" + node_name_;
}

void ClusterSource::follow(ReflectorOptions options) {
  const Kind kind = options.kind;
  Reflector::Environment environment{
      *api_, [] { return std::chrono::steady_clock::now(); }, random_source(),
      [this](std::vector<Change> changes) { enqueue(std::move(changes)); }};
  followers_.push_back(
      {kind, std::make_unique<Reflector>(std::move(options), std::move(environment))});
}

void ClusterSource::enqueue(std::vector<Change> changes) {
  const std::lock_guard lock(mutex_);
  queue_.push(std::move(changes));
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = write(event_.get(), &one, sizeof one);
}

ClusterChanges ClusterSource::drain() {
  const std::lock_guard lock(mutex_);
  std::uint64_t count = 0;
  [[maybe_unused]] const auto read_bytes = read(event_.get(), &count, sizeof count);
  return queue_.take();
}

bool ClusterSource::has_synced() const {
  const std::lock_guard lock(mutex_);
  const std::string* nodes = queue_.taken_list(Kind::Node);
  return queue_.taken_list(Kind::Service) != nullptr &&
         queue_.taken_list(Kind::EndpointSlice) != nullptr && nodes != nullptr &&
         *nodes == node_selector_;
}

void ClusterSource::watch_all_nodes(bool all) {
  std::string selector = all ? "" : own_node_selector();
  followers_.back().reflector->set_field_selector(selector);
  const std::lock_guard lock(mutex_);
  node_selector_ = std::move(selector);
}

std::vector<KindStatus> ClusterSource::status() const {
  std::vector<KindStatus> statuses;
  for (const Follower& follower : followers_) {
    statuses.push_back({follower.kind, follower.reflector->status()});
  }
  return statuses;
}

}  // namespace topolb::kube
