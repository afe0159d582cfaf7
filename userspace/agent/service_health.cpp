// SPDX-License-Identifier: Apache-2.0
#include "agent/service_health.h"

#include <fmt/format.h>

#include <algorithm>

#include "agent/controller.h"
#include "agent/endpoints.h"

namespace topolb::agent {
namespace {

// As the Event of kube-proxy.
constexpr const char* kNotServed = "FailedToStartServiceHealthcheck";

std::uint16_t port_of(const core::ClusterState& state, const core::Service* service) {
  return service != nullptr && state.is_served(*service) ? service->health_check_node_port : 0;
}

}  // namespace

HttpReply service_health_reply(const core::ObjectKey& service, std::size_t ready_endpoints,
                               bool healthy) {
  // Names are DNS labels: nothing in them needs to be escaped.
  return {ready_endpoints > 0 && healthy ? 200 : 503,
          "application/json",
          fmt::format("{{\n\t\"service\": {{\n\t\t\"namespace\": \"{}\",\n\t\t\"name\": \"{}\"\n"
                      "\t}},\n\t\"localEndpoints\": {},\n\t\"serviceProxyHealthy\": {}\n}}",
                      service.namespace_name, service.name, ready_endpoints, healthy),
          {{"X-Content-Type-Options", "nosniff"},
           {"X-Load-Balancing-Endpoint-Weight", std::to_string(ready_endpoints)}}};
}

void ServiceHealth::follow(const core::ClusterState& state) {
  // What goes first makes room: a port may move from one Service to another.
  for (const auto& key : state.last_replanned()) {
    const auto check = checks_.find(key);
    if (check == checks_.end() || check->second.port == port_of(state, state.find_service(key))) {
      continue;
    }
    close(check->second);
    checks_.erase(check);
  }
  for (const auto& key : state.last_replanned()) {
    const auto* service = state.find_service(key);
    const auto port = port_of(state, service);
    if (port == 0) continue;
    Check& check = checks_[key];
    check.port = port;
    std::map<Family, std::shared_ptr<Answer>> answers;
    for (const auto& address : service->cluster_ips) {
      const auto family = address.family();
      auto& answer = check.answers[family];
      if (!answer) answer = std::make_shared<Answer>(key);
      answer->ready_endpoints = state.endpoints_of(key).ready_on(state.options().node_name, family);
      answers.emplace(family, answer);
    }
    check.answers = std::move(answers);
    open(check);
  }
}

void ServiceHealth::listen_on(const std::vector<IpAddress>& addresses) {
  const bool moved = addresses != addresses_;
  addresses_ = addresses;
  for (auto& [key, check] : checks_) {
    if (moved || !check.error.empty()) open(check);
  }
}

void ServiceHealth::close(Check& check) {
  for (const auto& address : check.open) server_->stop_listening(address);
  check.open.clear();
}

// Brings a Service's sockets to the addresses and families of now.
void ServiceHealth::open(Check& check) {
  std::vector<SocketAddress> wanted;
  for (const auto& address : addresses_) {
    if (check.answers.contains(address.family())) wanted.push_back({address, check.port});
  }
  const auto is_in = [](const auto& list, const SocketAddress& address) {
    return std::find(list.begin(), list.end(), address) != list.end();
  };
  std::erase_if(check.open, [&](const SocketAddress& address) {
    if (is_in(wanted, address)) return false;
    server_->stop_listening(address);
    return true;
  });
  check.error.clear();
  for (const auto& address : wanted) {
    if (is_in(check.open, address)) continue;
    const auto opened = open(address, check.answers[address.address.family()]);
    if (opened) {
      check.open.push_back(address);
    } else if (check.error.empty()) {
      check.error = opened.error().message();
    }
  }
}

Result<void> ServiceHealth::open(const SocketAddress& address,
                                 const std::shared_ptr<Answer>& answer) {
  if (!server_) {
    auto started = HttpServer::start();
    if (!started) return started.error();
    server_.emplace(std::move(*started));
  }
  return server_->listen(
      address,
      [answer, &board = board_](std::string_view) {
        return service_health_reply(answer->service, answer->ready_endpoints,
                                    is_healthy(board.heartbeat_ns(), now_ns()));
      },
      HttpServer::Families::OwnOnly);
}

std::vector<core::Problem> ServiceHealth::problems() const {
  std::vector<core::Problem> problems;
  for (const auto& [key, check] : checks_) {
    if (check.error.empty()) continue;
    problems.push_back({.kind = "Service",
                        .namespace_name = key.namespace_name,
                        .name = key.name,
                        .reason = kNotServed,
                        .message = fmt::format("healthCheckNodePort: listen on {}", check.error)});
  }
  return problems;
}

}  // namespace topolb::agent
