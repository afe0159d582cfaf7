// SPDX-License-Identifier: Apache-2.0
#include "object_server.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <stdexcept>

#include "protobuf_objects.h"

namespace topolb::bench {
namespace {

const std::string kServices = "Service";
const std::string kSlices = "EndpointSlice";
const std::string kOwnNode = "Node";     // whole
const std::string kNodes = "OtherNode";  // metadata of the others

bool send_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t sent = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

// "" at the end.
std::string receive_line(int fd) {
  std::string line;
  char character = 0;
  while (::recv(fd, &character, 1, 0) == 1 && character != '\n') line += character;
  return line;
}

std::string kind_of(const std::string& target) {
  if (target.find("/services") != std::string::npos) return kServices;
  if (target.find("/endpointslices") != std::string::npos) return kSlices;
  return target.find("fieldSelector=metadata.name%3D") != std::string::npos ? kOwnNode : kNodes;
}

struct ListName {
  std::string api_version;
  std::string item_kind;
};

ListName list_name(const std::string& kind) {
  if (kind == kServices) return {"v1", "Service"};
  if (kind == kSlices) return {"discovery.k8s.io/v1", "EndpointSlice"};
  if (kind == kOwnNode) return {"v1", "Node"};
  return {"meta.k8s.io/v1", "PartialObjectMetadata"};
}

std::size_t number_after(const std::string& target, const std::string& name) {
  const auto at = target.find(name + '=');
  return at == std::string::npos ? 0 : std::stoul(target.substr(at + name.size() + 1));
}

std::uint64_t monotonic_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(now.tv_nsec);
}

}  // namespace

ObjectServer::ObjectServer(const ClusterSize& size, const ServerOptions& options,
                           const std::string& socket_path)
    : cluster_(size), options_(options), listener_(::socket(AF_UNIX, SOCK_STREAM, 0)) {
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  socket_path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  if (::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 ||
      ::listen(listener_.get(), 64) != 0) {
    throw std::runtime_error("cannot listen on " + socket_path);
  }
  acceptor_ = std::jthread([this] { accept_connections(); });
}

ObjectServer::~ObjectServer() { ::shutdown(listener_.get(), SHUT_RDWR); }

void ObjectServer::accept_connections() {
  std::vector<std::jthread> threads;
  while (true) {
    UniqueFd connection(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!connection) return;
    threads.emplace_back([this, one = std::move(connection)] { serve(one); });
  }
}

void ObjectServer::serve(const UniqueFd& connection) {
  while (true) {
    const std::string line = receive_line(connection.get());
    if (line.empty()) return;
    if (line.starts_with('/')) return serve_request(connection, line);
    send_all(connection.get(), run(line) + '\n');
  }
}

void ObjectServer::serve_request(const UniqueFd& connection, const std::string& target) {
  if (target == "/version") {
    const char* const minor = options_.streams ? "36" : "30";
    send_all(connection.get(), fmt::format(R"({{"major":"1","minor":"{}"}})", minor));
  } else if (target.find("sendInitialEvents") != std::string::npos) {
    stream_list(connection, target);
  } else if (target.find("watch=1") != std::string::npos) {
    watch(connection, target);
  } else {
    send_page(connection, target);
  }
}

ObjectServer::Items ObjectServer::items_of(const std::string& target) const {
  const std::string kind = kind_of(target);
  Items items;
  if (kind == kOwnNode) return {{0, 0}};
  if (kind == kNodes) {
    for (std::uint32_t node = 1; node < cluster_.size().nodes; ++node) items.emplace_back(node, 0);
    return items;
  }
  for (std::uint32_t service = 0; service < cluster_.size().services; ++service) {
    const std::uint32_t count = kind == kServices ? 1 : cluster_.slices_of(service);
    for (std::uint32_t i = 0; i < count; ++i) items.emplace_back(service, i);
  }
  return items;
}

std::string ObjectServer::item(const std::string& kind,
                               const std::pair<std::uint32_t, std::uint32_t>& numbers) const {
  if (kind == kServices) return cluster_.service(numbers.first);
  if (kind == kSlices) return cluster_.slice(numbers.first, numbers.second);
  return cluster_.node(numbers.first);
}

std::string ObjectServer::event(const std::string& kind, std::string_view type,
                                const std::string& json) const {
  if (!options_.protobuf) return fmt::format(R"({{"type":"{}","object":{}}})", type, json) + '\n';
  const ListName name = list_name(kind);
  return protobuf_event(
      type, protobuf_envelope(name.api_version, name.item_kind, to_protobuf(kind, json)));
}

void ObjectServer::stream_list(const UniqueFd& connection, const std::string& target) {
  const std::string kind = kind_of(target);
  for (const auto& numbers : items_of(target)) {
    if (!send_all(connection.get(), event(kind, "ADDED", item(kind, numbers)))) return;
  }
  send_all(connection.get(),
           event(kind, "BOOKMARK",
                 fmt::format(R"({{"metadata":{{"resourceVersion":"{}","annotations":)"
                             R"({{"k8s.io/initial-events-end":"true"}}}}}})",
                             cluster_.version())));
}

void ObjectServer::send_page(const UniqueFd& connection, const std::string& target) {
  const std::string kind = kind_of(target);
  const Items items = items_of(target);
  const std::size_t first = number_after(target, "continue");
  const std::size_t limit = number_after(target, "limit");
  const std::size_t end = limit == 0 ? items.size() : std::min(items.size(), first + limit);
  const std::string version = std::to_string(cluster_.version());
  const std::string token = end < items.size() ? std::to_string(end) : "";
  const ListName name = list_name(kind);
  std::vector<std::string> objects;
  for (std::size_t i = first; i < end; ++i) objects.push_back(item(kind, items[i]));
  if (options_.protobuf) {
    for (std::string& object : objects) object = to_protobuf(kind, object);
    send_all(connection.get(), protobuf_envelope(name.api_version, name.item_kind + "List",
                                                 protobuf_list(version, token, objects)));
    return;
  }
  send_all(connection.get(),
           fmt::format(R"({{"kind":"{}List","apiVersion":"{}","metadata":{{"resourceVersion":"{}",)"
                       R"("continue":"{}"}},"items":[{}]}})",
                       name.item_kind, name.api_version, version, token, fmt::join(objects, ",")));
}

void ObjectServer::watch(const UniqueFd& connection, const std::string& target) {
  const std::string kind = kind_of(target);
  {
    const std::lock_guard lock(mutex_);
    watches_[kind] = connection.get();
  }
  char byte = 0;
  while (::recv(connection.get(), &byte, 1, 0) > 0) {
  }
  const std::lock_guard lock(mutex_);
  if (watches_[kind] == connection.get()) watches_.erase(kind);
}

void ObjectServer::send_event(const std::string& kind, std::string_view type,
                              const std::string& object) {
  const std::string line = event(kind, type, object);
  const std::lock_guard lock(mutex_);
  const auto found = watches_.find(kind);
  if (found == watches_.end()) return;
  send_all(found->second, line);
  ++sent_events_;
  sent_bytes_ += line.size();
}

// The last event of a scenario, so that the other side knows that it has seen all.
void ObjectServer::send_marker(const std::string& kind) {
  const bool is_node = kind == kOwnNode;
  send_event(kind, "ADDED",
             fmt::format(R"({{"kind":"{}","apiVersion":"{}","metadata":{{"name":"marker",{})"
                         R"("resourceVersion":"{}","labels":{{"kubernetes.io/service-name":)"
                         R"("marker"}}}},"addressType":"IPv4","endpoints":[],"ports":[]}})",
                         kind, is_node ? "v1" : "discovery.k8s.io/v1",
                         is_node ? "" : R"("namespace":"team-000",)", cluster_.version() + 1));
}

std::size_t ObjectServer::count_watches() {
  const std::lock_guard lock(mutex_);
  return watches_.size() - watches_.count(kNodes);  // which not every agent has
}

std::string ObjectServer::run(const std::string& command) {
  sent_events_ = 0;
  sent_bytes_ = 0;
  if (command.starts_with("change ")) {
    return change_one_endpoint(static_cast<std::uint32_t>(std::stoul(command.substr(7))));
  }
  if (command == "watches") return std::to_string(count_watches());
  if (command.starts_with("relabel")) return relabel_own_node();
  if (command == "drain") return drain_zone();
  if (command.starts_with("steady ")) {
    return change_steadily(static_cast<std::uint32_t>(std::stoul(command.substr(7))));
  }
  return restart_first_service();
}

// Another pod in its place, on another node. The time is that of the last moment before the event
// is sent.
std::string ObjectServer::change_one_endpoint(std::uint32_t number) {
  const std::uint32_t service = number * 997 % cluster_.size().services;
  const std::uint32_t endpoint = number % cluster_.endpoints_of(service);
  cluster_.replace(service, endpoint);
  const std::string slice = cluster_.slice(service, endpoint / GeneratedCluster::kSliceLength);
  const std::uint64_t sent = monotonic_ns();
  send_event(kSlices, "MODIFIED", slice);
  return std::to_string(sent);
}

std::string ObjectServer::relabel_own_node() {
  cluster_.set_zone_of_node(0, (cluster_.zone_of_node(0) + 1) % cluster_.size().zones);
  const std::string node = cluster_.node(0);
  const std::uint64_t sent = monotonic_ns();
  send_event(kOwnNode, "MODIFIED", node);
  return std::to_string(sent);
}

// Node after node of a zone goes, in its order; every slice that had an endpoint there changes.
std::string ObjectServer::drain_zone() {
  const ClusterSize& size = cluster_.size();
  const std::uint32_t zone = cluster_.zone_of_node(size.nodes - 1);
  std::vector<std::vector<std::pair<std::uint32_t, std::uint32_t>>> endpoints_on(size.nodes);
  for (std::uint32_t service = 0; service < size.services; ++service) {
    for (std::uint32_t i = 0; i < cluster_.endpoints_of(service); ++i) {
      endpoints_on[cluster_.node_of(service, i)].emplace_back(service, i);
    }
  }
  for (std::uint32_t node = 1; node < size.nodes; ++node) {
    if (cluster_.zone_of_node(node) != zone) continue;
    for (const auto& [service, endpoint] : endpoints_on[node]) {
      cluster_.set_state(service, endpoint, GeneratedCluster::EndpointState::Gone);
      send_event(kSlices, "MODIFIED",
                 cluster_.slice(service, endpoint / GeneratedCluster::kSliceLength));
    }
    send_event(kNodes, "DELETED", cluster_.node(node));
  }
  const auto counts = fmt::format("{} {}", sent_events_, sent_bytes_);
  send_marker(kSlices);
  send_marker(kOwnNode);
  return counts;
}

// Each pod is terminating first, then another one is in its place.
std::string ObjectServer::restart_first_service() {
  for (std::uint32_t i = 0; i < cluster_.endpoints_of(0); ++i) {
    const std::uint32_t slice = i / GeneratedCluster::kSliceLength;
    cluster_.set_state(0, i, GeneratedCluster::EndpointState::Terminating);
    send_event(kSlices, "MODIFIED", cluster_.slice(0, slice));
    cluster_.replace(0, i);
    send_event(kSlices, "MODIFIED", cluster_.slice(0, slice));
  }
  const auto counts = fmt::format("{} {}", sent_events_, sent_bytes_);
  send_marker(kSlices);
  send_marker(kOwnNode);
  return counts;
}

// What a busy cluster of many nodes does, 200 times a second: pods end and begin, now and then a
// Service changes, and the metadata of Nodes (whoever writes their status changes that, too).
std::string ObjectServer::change_steadily(std::uint32_t seconds) {
  using namespace std::chrono_literals;
  constexpr std::uint32_t kPerSecond = 200;
  auto next = std::chrono::steady_clock::now();
  for (std::uint32_t number = 0; number < seconds * kPerSecond; ++number) {
    const std::uint32_t service = number * 997 % cluster_.size().services;
    const std::uint32_t endpoint = number / 4 % cluster_.endpoints_of(service);
    const std::uint32_t node = number % (cluster_.size().nodes - 1) + 1;
    if (number % 20 == 19) {
      cluster_.touch(service);
      send_event(kServices, "MODIFIED", cluster_.service(service));
    } else if (number % 20 >= 15) {
      cluster_.set_zone_of_node(node, cluster_.zone_of_node(node));
      send_event(kNodes, "MODIFIED", cluster_.node(node));
    } else {
      if (number % 2 == 0) {
        cluster_.set_state(service, endpoint, GeneratedCluster::EndpointState::Terminating);
      } else {
        cluster_.replace(service, endpoint);
      }
      send_event(kSlices, "MODIFIED",
                 cluster_.slice(service, endpoint / GeneratedCluster::kSliceLength));
    }
    next += 1000ms / kPerSecond;
    std::this_thread::sleep_until(next);
  }
  const auto counts = fmt::format("{} {}", sent_events_, sent_bytes_);
  send_marker(kSlices);
  send_marker(kOwnNode);
  return counts;
}

}  // namespace topolb::bench
