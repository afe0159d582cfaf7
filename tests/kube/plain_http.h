// SPDX-License-Identifier: Apache-2.0
// Requests to a server on loopback, on connections of their own that the calling thread makes: the
// agent's HTTP client makes its connections on threads that stay in the network namespace they
// began in.
#pragma once

#include <openssl/ssl.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "util/unique_fd.h"

namespace topolb::kube {

struct PlainRequest {
  std::uint16_t port = 0;
  bool tls = true;  // whoever answers is believed
  std::string method = "GET";
  std::string target;
  std::vector<std::string> headers;  // "Authorization: Bearer x"
  std::string body;
};

struct PlainAnswer {
  int status = 0;  // 0: none
  std::string body;
};

PlainAnswer ask(const PlainRequest& request);

/// A connection with a request on its way.
class PlainConnection {
 public:
  explicit PlainConnection(const PlainRequest& request);
  /// "" if nothing came of it.
  [[nodiscard]] const std::string& error() const { return error_; }
  /// What has come; empty: the end.
  std::string read();
  /// From any thread: ends read().
  void end() const;

 private:
  std::string error_;
  UniqueFd socket_;
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_{nullptr, SSL_CTX_free};
  std::unique_ptr<SSL, decltype(&SSL_free)> session_{nullptr, SSL_free};
};

/// A watch of which only matters when something comes.
class PlainWatch {
 public:
  using Clock = std::chrono::steady_clock;

  explicit PlainWatch(const PlainRequest& request);
  ~PlainWatch();
  PlainWatch(const PlainWatch&) = delete;
  PlainWatch& operator=(const PlainWatch&) = delete;

  /// Waits until something has come after `time`, and says when.
  Clock::time_point first_after(Clock::time_point time);

 private:
  PlainConnection connection_;
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::vector<Clock::time_point> arrivals_;
  std::thread reader_;
};

}  // namespace topolb::kube
