// SPDX-License-Identifier: Apache-2.0
#include "agent/controller.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "agent/change_log.h"
#include "agent/event_problems.h"
#include "agent/node_problems.h"

namespace topolb::agent {
namespace {

// A change of many Services (a node relabelled) is told in one line, not in thousands.
constexpr std::size_t kMaxLoggedOperations = 20;

void log_operations(const std::vector<core::Operation>& operations, double seconds) {
  const auto shown = std::min(operations.size(), kMaxLoggedOperations);
  for (std::size_t i = 0; i < shown; ++i) spdlog::info("{}", describe(operations[i]));
  if (operations.size() > shown) {
    spdlog::info("... and {} more operations, {:.1f} ms for all", operations.size() - shown,
                 seconds * 1000);
  }
}

void append(std::vector<core::Problem>& problems, const std::vector<core::Problem>& more) {
  problems.insert(problems.end(), more.begin(), more.end());
}

// When the longest silence of the API server began; 0: nothing was ever heard, or there is none.
std::uint64_t heard_ns(const std::vector<SourceAge>& ages, std::uint64_t now_ns) {
  std::optional<double> silence;
  for (const auto& age : ages) {
    if (age.seconds) silence = std::max(silence.value_or(0), *age.seconds);
  }
  return silence ? now_ns - static_cast<std::uint64_t>(*silence * 1e9) : 0;
}

class Stopwatch {
 public:
  [[nodiscard]] double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace

std::uint64_t now_ns() {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                        std::chrono::system_clock::now().time_since_epoch())
                                        .count());
}

Controller::Controller(core::PlanOptions options, dataplane::Datapath& datapath, StatusBoard& board,
                       ProxyMetrics& metrics)
    : state_(std::move(options)),
      datapath_(datapath),
      board_(board),
      metrics_(metrics),
      publisher_(std::in_place, datapath.maps()),
      service_health_(board) {
  status_.started_ns = now_ns();
  status_.heartbeat_ns = status_.started_ns;
  board_.update(status_);
}

Result<void> Controller::start(PacketPath& packets) {
  const Stopwatch watch;
  const auto operations = state_.replan();
  const auto plan = state_.shared_plan();
  packets_ = &packets;
  if (auto room = datapath_.make_room(dataplane::sizes_needed(plan)); !room) return room.error();
  packets.prepare();
  if (auto published = publish_anew(plan); !published) return published;
  packets.start();
  datapath_.drop_replaced_maps();
  service_health_.listen_on(packets.node_port_listeners());
  service_health_.follow(state_);
  if (!state_.has_node(state_.options().node_name)) {
    spdlog::warn("node {}: there is no Node object of this name, so it has no labels",
                 state_.options().node_name);
  }
  status_.ready = true;
  log_problems();
  publish_status(watch.seconds(), operations.size());
  spdlog::info("ready: {} Service ports in the kernel, {:.1f} ms{}", plan.size(),
               watch.seconds() * 1000,
               datapath_.took_over() ? ", took over the maps of the agent before" : "");
  return {};
}

Result<void> Controller::publish_anew(const std::vector<core::SharedPlan>& plan) {
  gone_udp_ = take_gone_udp();
  publisher_.emplace(datapath_.maps());
  publisher_->take_over(plan);
  return datapath_.attach();
}

void Controller::apply(ObjectChanges&& changes) {
  const Stopwatch watch;
  take_in(std::move(changes));
  const auto operations = state_.replan();
  publisher_->execute(operations);
  if (publisher_->is_short_of_room(datapath_.limits())) make_room();
  service_health_.follow(state_);
  const auto seconds = watch.seconds();
  log_operations(operations, seconds);
  log_problems();
  publish_status(seconds, operations.size());
}

// Until the hooks are switched they serve what they did, from the maps before.
void Controller::make_room() {
  if (is_growing_) return;  // beat() goes on
  const Stopwatch watch;
  const auto plan = state_.shared_plan();
  auto needed = dataplane::sizes_needed(plan);
  publisher_->add_refused(needed);
  const auto grown = datapath_.make_room(needed);
  growth_failure_ = grown ? std::nullopt : std::optional(grown.error());
  if (!grown || !*grown) return;
  is_growing_ = true;
  finish_growth(publish_anew(plan));
  if (!is_growing_) spdlog::info("the maps have more room: {:.1f} ms", watch.seconds() * 1000);
}

void Controller::finish_growth(const Result<void>& attached) {
  growth_failure_ = attached ? std::nullopt : std::optional(attached.error());
  if (!attached) return;  // beat() tries again
  packets_->reload();
  datapath_.drop_replaced_maps();
  is_growing_ = false;
}

std::vector<SocketAddress> Controller::take_gone_udp() {
  auto gone = std::exchange(gone_udp_, {});
  const auto more = publisher_->take_gone_udp();
  gone.insert(gone.end(), more.begin(), more.end());
  return gone;
}

void Controller::take_in(ObjectChanges&& changes) {
  for (const auto& id : changes.removed) remove(id);
  for (auto& object : changes.put) {
    auto problems = std::move(object.problems);
    object_files_.put(object);
    if (auto* service = std::get_if<core::Service>(&object.object)) {
      take_in(std::move(*service));
    } else if (auto* slice = std::get_if<core::EndpointSlice>(&object.object)) {
      metrics_.queued(*slice, now_ns());
      state_.put(*slice);
    } else if (auto* node = std::get_if<core::Node>(&object.object)) {
      take_in(*node);
    } else {
      remove(object.id);  // no longer served: it has become headless, say
    }
    if (problems.empty()) {
      object_problems_.erase(object.id);
    } else {
      object_problems_[object.id] = std::move(problems);
    }
  }
  source_problems_ = std::move(changes.source_problems);
}

void Controller::take_in(core::Service&& service) {
  metrics_.queued(service, now_ns());
  const auto keys = core::topology_keys_of(service).keys;
  // An endpoint's own zone field will do for these two (design.md 3.2).
  const bool far = std::any_of(keys.begin(), keys.end(), [](const auto& key) {
    return key != core::kZoneLabel && key != core::kAnyTopology;
  });
  if (far) {
    needing_nodes_.insert(service.key);
  } else {
    needing_nodes_.erase(service.key);
  }
  state_.put(std::move(service));
}

void Controller::take_in(const core::Node& node) {
  if (node.name == state_.options().node_name) judge_own_node(!node.leaving);
  state_.put(node);
}

void Controller::judge_own_node(bool is_eligible) {
  if (is_eligible == status_.node_eligible) return;
  status_.node_eligible = is_eligible;
  if (is_eligible) {
    spdlog::info("node {}: stays; /healthz answers 200 again", state_.options().node_name);
  } else {
    spdlog::warn("node {}: is being deleted: /healthz answers 503", state_.options().node_name);
  }
}

void Controller::remove(const kube::ObjectId& id) {
  object_problems_.erase(id);
  object_files_.remove(id);
  switch (id.kind) {
    case kube::Kind::Service:
      metrics_.service_removed(now_ns());
      needing_nodes_.erase(id.key);
      state_.remove_service(id.key);
      break;
    case kube::Kind::EndpointSlice:
      metrics_.slice_removed(id.key, now_ns());
      state_.remove_slice(id.key);
      break;
    case kube::Kind::Node:
      if (id.key.name == state_.options().node_name) judge_own_node(false);
      state_.remove_node(id.key.name);
      break;
  }
}

void Controller::beat(std::vector<SourceAge> ages, const PacketPath& packets,
                      std::uint64_t ended_sockets) {
  const bool was_growing = is_growing_;
  if (is_growing_) finish_growth(datapath_.attach());
  const bool was_wrong = !node_problems_.empty();
  if (was_wrong) check_node_ports();
  const bool mended = was_wrong && node_problems_.empty();
  service_health_.listen_on(packets.node_port_listeners());
  if (mended || was_growing || packet_problems_ != packets.problems() ||
      health_problems_ != service_health_.problems()) {
    packet_problems_ = packets.problems();
    log_problems();
    status_.problems = logged_problems_;
  }
  packets.add_to(status_);
  status_.ended_sockets = ended_sockets;
  status_.heartbeat_ns = now_ns();
  publisher_->mark_heard(heard_ns(ages, status_.heartbeat_ns));
  status_.source_ages = std::move(ages);
  board_.update(status_);
}

void Controller::tidy_up() {
  if (!publisher_->has_retired()) return;
  publisher_->reclaim();
  status_.fill = fill();
  board_.update(status_);
}

// Against what the maps may grow to.
std::vector<dataplane::MapFill> Controller::fill() const {
  auto maps = publisher_->fill();
  const auto limits = dataplane::limits_by_map(datapath_.limits());
  for (auto& map : maps) {
    const auto limit = limits.find(map.name);
    if (limit != limits.end()) map.capacity = std::max(map.capacity, limit->second);
  }
  return maps;
}

// Reads the machine's settings only when NodePorts have come or gone, or something is wrong.
void Controller::check_node_ports() {
  auto node_ports = publisher_->node_ports();
  if (node_ports == checked_node_ports_ && node_problems_.empty()) return;
  checked_node_ports_ = std::move(node_ports);
  node_problems_.clear();
  const auto ephemeral = dataplane::read_ephemeral_ports();
  if (!ephemeral) {
    spdlog::warn("whether NodePorts are reserved: {}", ephemeral.error().message());
    return;
  }
  if (auto problem =
          ephemeral_node_ports(state_.options().node_name, checked_node_ports_, *ephemeral)) {
    node_problems_.push_back(std::move(*problem));
  }
}

void Controller::log_problems() {
  check_node_ports();
  health_problems_ = service_health_.problems();
  ProblemLists lists{.of_objects = state_.problems(),
                     .of_kernel = publisher_->problems(),
                     .of_node = node_problems_};
  append(lists.of_kernel, health_problems_);
  object_files_.add_to(lists.of_objects);
  object_files_.add_to(lists.of_kernel);
  append(lists.of_objects, source_problems_);
  for (const auto& [id, list] : object_problems_) append(lists.of_objects, list);
  append(lists.of_node, packet_problems_);
  if (growth_failure_) {
    lists.of_node.push_back({.kind = "Node",
                             .namespace_name = "",
                             .name = state_.options().node_name,
                             .reason = "MapsNotGrown",
                             .message = growth_failure_->message()});
  }
  event_problems_ = agent::event_problems(state_, lists);
  auto problems = std::move(lists.of_objects);
  append(problems, lists.of_kernel);
  append(problems, lists.of_node);
  std::sort(problems.begin(), problems.end());
  problems.erase(std::unique(problems.begin(), problems.end()), problems.end());
  const auto name_of = [](const core::Problem& problem) {
    return problem.namespace_name.empty() ? problem.name
                                          : problem.namespace_name + "/" + problem.name;
  };
  for (const auto& problem : problems) {
    if (std::binary_search(logged_problems_.begin(), logged_problems_.end(), problem)) continue;
    spdlog::warn("{} {}: {}: {}", problem.kind, name_of(problem), problem.reason, problem.message);
  }
  for (const auto& problem : logged_problems_) {
    if (std::binary_search(problems.begin(), problems.end(), problem)) continue;
    spdlog::info("{} {}: {}: solved", problem.kind, name_of(problem), problem.reason);
  }
  logged_problems_ = std::move(problems);
}

void Controller::publish_status(double replan_seconds, std::size_t operations) {
  const auto now = now_ns();
  publisher_->mark_published(now);
  metrics_.synced(replan_seconds, now);
  status_.published_ns = now;
  status_.heartbeat_ns = now;
  status_.changes += operations;
  ++status_.replans;
  status_.last_replan_seconds = replan_seconds;
  status_.service_ports = state_.plan_size();
  status_.problems = logged_problems_;
  status_.fill = fill();
  board_.update(status_);
}

}  // namespace topolb::agent
