// SPDX-License-Identifier: Apache-2.0
#include "support/flow_model.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "dataplane/kernel_state.h"
#include "support/dissect.h"
#include "support/sockets.h"

namespace topolb::test {
namespace {

struct ModelledService {
  Protocol protocol;
  const char* frontend;
  const char* dialled;  // of a NodePort: the node's address
  std::vector<std::string> backends;
  bool local;
};

const std::array<ModelledService, 6>& services() {
  static const std::array<ModelledService, 6> table{{
      {Protocol::TCP, "0.0.0.0:30080", "192.0.2.10:30080", {"10.1.0.1:80", "10.1.0.2:80"}, false},
      {Protocol::TCP, "[::]:30080", "[2001:db8::10]:30080", {"[fd00:1::1]:80"}, false},
      {Protocol::UDP, "0.0.0.0:30053", "192.0.2.10:30053", {"10.1.0.3:53", "10.1.0.4:53"}, false},
      {Protocol::TCP, "203.0.113.5:80", "203.0.113.5:80", {"10.2.0.2:8080"}, true},
      {Protocol::UDP, "203.0.113.5:53", "203.0.113.5:53", {"10.2.0.2:5353"}, true},
      {Protocol::TCP, "[2001:db8:1::5]:80", "[2001:db8:1::5]:80", {"[fd00:2::2]:80"}, true},
  }};
  return table;
}

std::string host_of(const std::string& socket) { return socket.substr(0, socket.rfind(':')); }

/// A packet as the backend sees it: with direct server return, out of its wrapper and translated by
/// the backend's node.
PacketView seen_by_backend(const Outcome& sent, const ModelledService& to) {
  if (!is_wrapped(sent.frame)) return sent.view();
  const auto wrapper = dissect_wrapper(sent.frame);
  auto seen = look_at(unwrap(sent.frame));
  EXPECT_EQ(seen.destination, to.dialled);
  seen.destination = "";
  for (const auto& backend : to.backends) {
    if (wrapper && socket_address(backend).address == wrapper->outer.destination)
      seen.destination = backend;
  }
  return seen;
}

}  // namespace

std::vector<core::ServicePortPlan> modelled_services() {
  std::vector<core::ServicePortPlan> plans;
  for (const auto& modelled : services()) {
    const auto to = traffic({{"", modelled.backends}});
    const auto number = plans.size() + 1;
    const bool ipv6 = modelled.frontend[0] == '[';
    auto plan =
        service(fmt::format("s{}", number),
                fmt::format(fmt::runtime(ipv6 ? "[fd00:96::{}]:80" : "10.96.0.{}:80"), number),
                modelled.protocol, to);
    const bool node_port = modelled.frontend != std::string(modelled.dialled);
    add_frontend(plan, node_port ? core::FrontendKind::NodePort : core::FrontendKind::LoadBalancer,
                 modelled.frontend, to);
    plans.push_back(plan);
  }
  return plans;
}

std::vector<std::string> modelled_local_backends() {
  std::vector<std::string> backends;
  for (const auto& modelled : services()) {
    if (!modelled.local) continue;
    backends.insert(backends.end(), modelled.backends.begin(), modelled.backends.end());
  }
  return backends;
}

void publish_modelled_services(PacketPath& path) {
  path.publish(modelled_services(), modelled_local_backends());
}

FlowModel::FlowModel(PacketPath& path, std::uint32_t number, std::optional<Protocol> only)
    : path_(path), clients_(number << 24U), only_(only), random_(number) {}

std::string FlowModel::next_client(Family family) {
  const auto number = clients_++;
  const auto port = 1024 + number % 50000;
  const auto host = number / 50000;
  return family == Family::IPv4 ? fmt::format("198.{}.{}.{}:{}", 18 + host / 62500,
                                              host / 250 % 250, 1 + host % 250, port)
                                : fmt::format("[2001:db8:5::{:x}]:{}", 1 + host, port);
}

Outcome FlowModel::send(const Flow& flow, std::uint8_t flags) {
  const auto& to = services()[flow.service];
  return path_.run(Hook::Ingress, build({.source = flow.client,
                                         .destination = to.dialled,
                                         .protocol = to.protocol,
                                         .tcp_flags = flags,
                                         .acknowledged = 1000 + 6 + 1,  // a FIN after "answer"
                                         .payload = "request"}));
}

void FlowModel::expect_sent(const Flow& flow, std::uint8_t flags) {
  const auto sent = send(flow, flags);
  EXPECT_EQ(sent.action, services()[flow.service].local ? kPass : kRedirect) << flow.client;
  const auto seen = seen_by_backend(sent, services()[flow.service]);
  EXPECT_EQ(seen.source, flow.source) << flow.client;
  EXPECT_EQ(seen.destination, flow.backend) << flow.client;
  EXPECT_TRUE(seen.checksums_right) << flow.client;
}

void FlowModel::expect_answered(const Flow& flow, std::uint8_t flags) {
  const auto& from = services()[flow.service];
  if (flow.is_direct) return;  // it does not come by here
  const auto answer =
      path_.run(from.local ? Hook::Egress : Hook::Ingress, build({.source = flow.backend,
                                                                  .destination = flow.source,
                                                                  .protocol = from.protocol,
                                                                  .tcp_flags = flags,
                                                                  .acknowledged = 1000 + 7 + 1,
                                                                  .payload = "answer"}));
  const auto seen = answer.view();
  EXPECT_EQ(seen.source, from.dialled) << flow.client;
  EXPECT_EQ(seen.destination, flow.client);
  EXPECT_TRUE(seen.checksums_right) << flow.client;
}

bool FlowModel::begin(Flow& flow) {
  do {
    flow.service = static_cast<std::uint32_t>(random_() % services().size());
  } while (only_ && services()[flow.service].protocol != *only_);
  const auto& to = services()[flow.service];
  flow.client = next_client(to.dialled[0] == '[' ? Family::IPv6 : Family::IPv4);
  const auto sent = send(flow, kSyn);
  if (sent.action == kDrop) return false;
  const auto seen = seen_by_backend(sent, to);
  flow.source = seen.source;
  flow.backend = seen.destination;
  flow.is_direct = is_wrapped(sent.frame);
  EXPECT_EQ(host_of(flow.source), host_of(to.local || flow.is_direct ? flow.client : to.dialled));
  EXPECT_NE(std::find(to.backends.begin(), to.backends.end(), flow.backend), to.backends.end())
      << flow.backend;
  return true;
}

bool FlowModel::open() {
  Flow flow;
  if (!begin(flow)) return false;
  const auto protocol = services()[flow.service].protocol;
  EXPECT_TRUE(replies_.emplace(flow.backend, flow.source, protocol).second)
      << "two flows with " << flow.backend << " to " << flow.source;
  expect_answered(flow, kSyn | kAck);
  expect_sent(flow, kAck);
  live_.push_back(std::move(flow));
  return true;
}

bool FlowModel::open_halfway() {
  Flow flow;
  if (!begin(flow)) return false;
  if (services()[flow.service].protocol == Protocol::TCP) expect_answered(flow, kSyn | kAck);
  return true;
}

bool FlowModel::open_once() {
  if (!open()) return false;
  forget(live_.size() - 1);
  return true;
}

void FlowModel::exchange(std::size_t index) {
  expect_sent(live_[index], kAck);
  expect_answered(live_[index], kAck);
}

void FlowModel::exchange_all() {
  for (std::size_t index = 0; index < live_.size(); ++index) exchange(index);
}

void FlowModel::forget(std::size_t index) {
  const Flow& flow = live_[index];
  replies_.erase({flow.backend, flow.source, services()[flow.service].protocol});
  live_[index] = std::move(live_.back());
  live_.pop_back();
}

void FlowModel::close_random() {
  const auto index = random_index();
  const Flow& flow = live_[index];
  const auto protocol = services()[flow.service].protocol;
  if (protocol == Protocol::TCP && random_() % 8 != 0) {
    expect_sent(flow, kFin | kAck);
    expect_answered(flow, kFin | kAck);
    expect_sent(flow, kAck);
  } else {
    if (protocol == Protocol::TCP) expect_answered(flow, kRst);
    silent_.emplace(flow.client, protocol);
  }
  forget(index);
}

void FlowModel::reset_random() {
  const auto index = random_index();
  expect_answered(live_[index], kRst);
  forget(index);
}

void FlowModel::close_all() {
  while (!live_.empty()) close_random();
}

void FlowModel::expire_silent() {
  auto& table = path_.flows();
  table.for_each([&](std::uint32_t id, const topolb_flow& flow) {
    const SocketAddress client{dataplane::from_wire(flow.client), ntohs(flow.client_port_be)};
    if (silent_.erase({client.to_string(), static_cast<Protocol>(flow.protocol)}) == 0) return;
    table.row(id).touched -=
        topolb_flow_time((topolb_flow_timeout_s(flow.protocol, flow.state) + 2) * 1'000'000'000ULL);
  });
}

}  // namespace topolb::test
