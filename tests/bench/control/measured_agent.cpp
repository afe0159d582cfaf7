// SPDX-License-Identifier: Apache-2.0
#include "measured_agent.h"

#include <poll.h>

#include <algorithm>
#include <stdexcept>

#include "agent/source.h"
#include "generated_cluster.h"

namespace topolb::bench {
namespace {

constexpr int kPatienceMs = 120'000;

template <typename T>
T need(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message());
  return std::move(*result);
}

dataplane::Datapath open_datapath(const test::Sandbox& sandbox) {
  return need(dataplane::Datapath::open(sandbox.options()));
}

}  // namespace

MeasuredAgent::MeasuredAgent(const std::string& socket_path, const std::string& manifests)
    : datapath_(open_datapath(sandbox_)),
      packets_(need(agent::PacketPath::open({}, GeneratedCluster::node_name(0), sandbox_.pin_path(),
                                            datapath_))),
      manifests_path_(manifests),
      controller_({.node_name = GeneratedCluster::node_name(0),
                   .scope = core::Scope::All,
                   .service_proxy_name = {}},
                  datapath_, board_, metrics_) {
  if (manifests.empty()) api_ = std::make_shared<SocketApi>(socket_path);
}

void MeasuredAgent::start() {
  if (api_) {
    cluster_ = need(kube::ClusterSource::start(
        api_,
        {.node_name = GeneratedCluster::node_name(0), .service_proxy_name = {}, .reflector = {}}));
  } else {
    manifests_ = need(agent::open_manifests(manifests_path_));
  }
  while (true) {
    if (cluster_) wait_for_changes();
    if (auto batch = changes()) controller_.collect(std::move(*batch));
    if (cluster_) cluster_->watch_all_nodes(controller_.needs_all_nodes());
    if (cluster_ ? cluster_->has_synced() : manifests_->is_complete()) break;
  }
  if (auto started = controller_.start(packets_); !started) {
    throw std::runtime_error(started.error().message());
  }
}

std::optional<agent::ObjectChanges> MeasuredAgent::changes() {
  if (!cluster_) return manifests_->changes();
  auto changes = cluster_->drain();
  markers_ += static_cast<unsigned>(std::ranges::count_if(
      changes.put, [](const auto& object) { return object.id.key.name == "marker"; }));
  return agent::ObjectChanges{std::move(changes.put), std::move(changes.removed),
                              std::move(changes.problems)};
}

void MeasuredAgent::wait_for_changes() const {
  pollfd readable{.fd = fd(), .events = POLLIN, .revents = 0};
  if (::poll(&readable, 1, kPatienceMs) != 1) throw std::runtime_error("nothing comes any more");
}

void MeasuredAgent::apply_next() {
  wait_for_changes();
  if (auto batch = changes()) controller_.apply(std::move(*batch));
}

void MeasuredAgent::apply_until_marker() {
  for (markers_ = 0; markers_ < 2;) apply_next();  // one among the slices, one among the nodes
}

void MeasuredAgent::add_device() {
  sandbox_.add_node_address("192.0.2.1");
  packets_.network_changed();
}

void MeasuredAgent::settle() { controller_.tidy_up(); }

std::uint32_t MeasuredAgent::backends() const {
  const auto fill = board_.read().fill;
  const auto found = std::ranges::find(fill, "backends", &dataplane::MapFill::name);
  return found == fill.end() ? 0 : found->used;
}

}  // namespace topolb::bench
