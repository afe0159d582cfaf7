// SPDX-License-Identifier: Apache-2.0
// An HTTP proxy that knows CONNECT only, and leads to one port whatever it is asked for.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>

#include "util/unique_fd.h"

namespace topolb::kube {

class ConnectProxy {
 public:
  ConnectProxy();
  ConnectProxy(const ConnectProxy&) = delete;
  ConnectProxy& operator=(const ConnectProxy&) = delete;
  ~ConnectProxy();

  [[nodiscard]] std::uint16_t port() const { return port_; }
  /// On 127.0.0.1.
  void lead_to(std::uint16_t port) { target_ = port; }
  /// The head of the last request, as it came.
  [[nodiscard]] std::string last_request() const;

 private:
  void run();
  void serve(int client);

  std::uint16_t port_ = 0;
  UniqueFd listener_;  // sets port_
  std::atomic<std::uint16_t> target_ = 0;
  std::atomic<bool> stopping_ = false;
  mutable std::mutex mutex_;  // last_request_
  std::string last_request_;
  std::thread thread_;
};

}  // namespace topolb::kube
