// SPDX-License-Identifier: Apache-2.0
// The agent's own endpoints: /healthz, /readyz, /metrics, /v1/status, /v1/problems.
#pragma once

#include <memory>
#include <string>

#include "agent/status_board.h"
#include "dataplane/kernel_maps.h"
#include "util/result.h"

namespace topolb::agent {

/// Serves from threads of its own until destroyed. Board and maps must outlive it.
class HttpServer {
 public:
  /// `host` an address, IPv6 in brackets. Error: can't listen there.
  static Result<HttpServer> start(const std::string& host, std::uint16_t port,
                                  const StatusBoard& board, const dataplane::KernelMaps& maps);
  HttpServer(HttpServer&&) noexcept;
  HttpServer& operator=(HttpServer&&) noexcept;
  ~HttpServer();

 private:
  struct Listener;
  explicit HttpServer(std::unique_ptr<Listener> listener);
  std::unique_ptr<Listener> listener_;
};

/// 200 while the loop turns, 503 when it has not for a minute.
bool is_healthy(const Status& status, std::uint64_t now_ns);
/// The body of /healthz, in kube-proxy's form.
std::string health_json(const Status& status, std::uint64_t now_ns);
std::string status_json(const Status& status);
std::string problems_json(const Status& status);

}  // namespace topolb::agent
