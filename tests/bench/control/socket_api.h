// SPDX-License-Identifier: Apache-2.0
// The API client's side of an ObjectServer.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "kube/api.h"
#include "util/unique_fd.h"

namespace topolb::bench {

class SocketApi final : public kube::Api {
 public:
  explicit SocketApi(std::string socket_path) : socket_path_(std::move(socket_path)) {}

  Result<kube::HttpResponse> send(const kube::ApiRequest& request, const kube::BodySink& sink,
                                  std::stop_token stop) override;
  [[nodiscard]] std::uint64_t bytes_received() const { return bytes_; }

 private:
  std::string socket_path_;
  std::atomic<std::uint64_t> bytes_ = 0;
};

/// Scenarios on the server, one after the other.
class Scenario {
 public:
  explicit Scenario(const std::string& socket_path);
  void begin(const std::string& command);
  /// What the server says at the end of what was begun: one command at a time.
  std::string result();

 private:
  UniqueFd socket_;
};

}  // namespace topolb::bench
