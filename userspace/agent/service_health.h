// SPDX-License-Identifier: Apache-2.0
// The healthCheckNodePorts of Services: load balancers ask there whether this node has a ready
// endpoint, and get kube-proxy's answer. One thread serves all of them; this class is the loop's.
// Source: kube-proxy's healthcheck.NewServiceHealthServer; Kubernetes API, ServiceSpec.
#pragma once

#include <atomic>
#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/http_server.h"
#include "agent/status_board.h"
#include "core/cluster_state.h"
#include "core/model.h"
#include "util/ip.h"

namespace topolb::agent {

class ServiceHealth {
 public:
  /// `board` must outlive it.
  explicit ServiceHealth(const StatusBoard& board) : board_(board) {}

  /// Brings the servers of the Services that the last replan() looked at to the state.
  void follow(const core::ClusterState& state);
  /// Where to listen, of each family a Service has: at first nowhere. Tries again what failed.
  void listen_on(const std::vector<IpAddress>& addresses);

  /// Of the Services whose port can't be listened on; sorted.
  [[nodiscard]] std::vector<core::Problem> problems() const;
  /// The Services that have a server.
  [[nodiscard]] std::size_t size() const { return checks_.size(); }

 private:
  /// What is answered for a family of a Service; read by the server's thread.
  struct Answer {
    explicit Answer(core::ObjectKey of) : service(std::move(of)) {}
    const core::ObjectKey service;
    std::atomic<std::size_t> ready_endpoints = 0;  // on this node
  };
  struct Check {
    std::uint16_t port = 0;
    std::map<Family, std::shared_ptr<Answer>> answers;
    std::vector<SocketAddress> open;
    std::string error;  // "": it listens everywhere
  };
  using Checks = std::map<core::ObjectKey, Check>;

  void close(Check& check);
  void open(Check& check);
  Result<void> open(const SocketAddress& address, const std::shared_ptr<Answer>& answer);

  const StatusBoard& board_;
  std::vector<IpAddress> addresses_;
  Checks checks_;
  std::optional<HttpServer> server_;  // from the first check on
};

/// kube-proxy's answer on a healthCheckNodePort.
HttpReply service_health_reply(const core::ObjectKey& service, std::size_t ready_endpoints,
                               bool healthy);

}  // namespace topolb::agent
